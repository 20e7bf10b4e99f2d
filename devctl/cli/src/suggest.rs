//! The nearest of several names, for "did you mean".

/// The candidate that was probably meant, if any is near enough.
pub(crate) fn nearest<'a>(wrong: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = wrong.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (score(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(score, _)| *score > 0.75)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, candidate)| candidate)
}

/// 1 is the same; a name of which only the beginning was typed, or with one slip in it, is near as well.
fn score(wrong: &str, candidate: &str) -> f64 {
    if wrong.len() >= 3 && strsim::osa_distance(wrong, candidate) == 1 {
        return 0.97;
    }
    if wrong != candidate && wrong.len() >= 3 && candidate.starts_with(wrong) {
        0.95
    } else {
        strsim::jaro_winkler(wrong, candidate)
    }
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn slips_are_seen_and_strangers_are_not() {
        let services = ["auth", "auth-db", "billing", "billing-db", "api-gateway"];
        assert_eq!(nearest("biling", services), Some("billing"));
        assert_eq!(nearest("Auth", services), Some("auth"));
        assert_eq!(nearest("aip", ["db", "api"]), Some("api"));
        assert_eq!(nearest("api", services), Some("api-gateway"));
        assert_eq!(nearest("zookeeper", services), None);
    }
}
