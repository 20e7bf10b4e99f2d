//! Lines by a template such as `{{.Name}} {{.Status}}`: the part of Go's templates that people use with Docker Compose's lists.

use regex::{Captures, Regex};
use serde_json::Value;

use crate::error::Error;
use crate::render::table;
use crate::suggest;

/// The lines of a template, one per object: `{{.Field}}` is a field of it, `{{json .}}` all of them, `{{json .Field}}` one as JSON; `table ` before it for a head and columns at tabs. `of` says what
/// the objects are, for whoever names a field that is none of `fields`.
pub(crate) fn lines(format: &str, objects: &[Value], fields: &[&str], of: &str) -> Result<Vec<String>, Error> {
    let (as_table, body) = match format.strip_prefix("table ") {
        Some(body) => (true, body),
        None => (false, format),
    };
    let body = body.replace("\\t", "\t").replace("\\n", "\n");
    let field = Regex::new(r"\{\{\s*(json\s+)?\.(\w*)\s*\}\}").map_err(|err| Error::usage(err.to_string(), ""))?;
    for found in field.captures_iter(&body) {
        let name = &found[2];
        let is_whole = name.is_empty() && found.get(1).is_some();
        if !is_whole && !fields.contains(&name) {
            let near = suggest::nearest(name, fields.iter().copied());
            return Err(Error::Usage {
                what: format!("`{{{{.{name}}}}}` is no field of a {of}"),
                help: Some(near.map_or_else(
                    || format!("there are {}", fields.join(", ")),
                    |near| format!("did you mean `{{{{.{near}}}}}`?"),
                )),
            });
        }
    }
    let rest = field.replace_all(&body, "");
    if rest.contains("{{") || (!as_table && rest == body) {
        let example: Vec<String> = fields.iter().take(2).map(|name| format!("{{{{.{name}}}}}")).collect();
        return Err(Error::usage(
            format!("`{format}` is no format"),
            format!(
                "write `table`, `json`, or a template of fields such as `{}`",
                example.join(" ")
            ),
        ));
    }
    let fill = |object: &Value| {
        field
            .replace_all(&body, |found: &Captures<'_>| {
                match (&found[2], found.get(1).is_some()) {
                    ("", _) => object.to_string(),
                    (name, true) => object[name].to_string(),
                    (name, false) => match &object[name] {
                        Value::String(text) => text.clone(),
                        other => other.to_string(),
                    },
                }
            })
            .into_owned()
    };
    let lines = objects.iter().map(fill);
    if !as_table {
        return Ok(lines.collect());
    }
    let head = field
        .replace_all(&body, |found: &Captures<'_>| found[2].to_uppercase())
        .into_owned();
    let rows: Vec<Vec<String>> = std::iter::once(head)
        .chain(lines)
        .map(|line| line.split('\t').map(str::to_owned).collect())
        .collect();
    Ok(table::lines(&rows))
}

/// The names of an object's fields.
pub(crate) fn fields(object: &Value) -> Vec<&str> {
    let fields = object.as_object().into_iter().flat_map(|object| object.keys());
    fields.map(String::as_str).collect()
}
