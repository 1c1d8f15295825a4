# SPDX-License-Identifier: Apache-2.0
"""Independent decoder of the golden requests: bytes in, normal rows out.

It shares nothing with the server under test.  Every expect.jsonl beside a request.bin was
printed by this file (`python3 decode.py CASE_DIR` prints it again), and test_golden.py keeps
the two in step.  Needs the packages msgpack, protobuf and zstandard.
"""
import gzip
import json
import pathlib
import re
import struct
import sys
import urllib.parse
import zlib

import msgpack
import zstandard

MASK64 = (1 << 64) - 1


# ---------------------------------------------------------------- case files
def load_case(case):
    """-> (method, target, headers dict with lower-case names, body bytes)"""
    case = pathlib.Path(case)
    lines = (case / "headers.txt").read_text().splitlines()
    method, target = lines[0].split()[:2]
    headers = {}
    for line in lines[1:]:
        if line.strip():
            name, value = line.split(":", 1)
            headers[name.strip().lower()] = value.strip()
    return method, target, headers, (case / "request.bin").read_bytes()


def unpack_body(body, encoding):
    encoding = (encoding or "").lower()
    if encoding in ("", "identity"):
        return body
    if encoding == "gzip":
        return gzip.decompress(body)
    if encoding == "deflate":
        return zlib.decompress(body)
    if encoding in ("zstd", "zstd1"):
        return zstandard.ZstdDecompressor().decompressobj().decompress(body)
    raise ValueError(f"content encoding {encoding}")


# ---------------------------------------------------------------- spans
def text(value):
    if value is None:
        return ""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value)


def hex128(high, low):
    return f"{(high << 64) | low:032x}"


def any_value(value):
    kind = value.get("type", 0)
    if kind == 4:
        return [any_value(v) for v in value["array_value"]["values"]]
    return value[("string_value", "bool_value", "int_value", "double_value")[kind]]


def norm_links(span, meta):
    out = []
    for link in span.get("span_links") or []:
        out.append({
            "trace_id": hex128(link.get("trace_id_high") or 0, link["trace_id"] & MASK64),
            "span_id": str(link["span_id"] & MASK64),
            "attributes": {k: text(v) for k, v in (link.get("attributes") or {}).items()},
            "tracestate": link.get("tracestate") or "", "flags": link.get("flags") or 0,
        })
    for link in json.loads(meta.get("_dd.span_links") or "[]"):
        out.append({
            "trace_id": link["trace_id"].rjust(32, "0"), "span_id": str(int(link["span_id"], 16)),
            "attributes": link.get("attributes") or {},
            "tracestate": link.get("tracestate") or "", "flags": link.get("flags") or 0,
        })
    return out


def norm_events(span, meta):
    out = []
    for ev in span.get("span_events") or []:
        out.append({"name": ev["name"], "time_ns": ev["time_unix_nano"],
                    "attributes": {k: any_value(v) for k, v in (ev.get("attributes") or {}).items()}})
    for ev in json.loads(meta.get("events") or "[]"):
        out.append({"name": ev["name"], "time_ns": ev["time_unix_nano"], "attributes": ev.get("attributes") or {}})
    return out


def signed64(value):
    value = int(value or 0)
    return value - (1 << 64) if value >= (1 << 63) else value


def norm_span(span, high):
    meta = {text(k): text(v) for k, v in (span.get("meta") or {}).items()}
    row = {
        "kind": "span", "trace_id": hex128(high, int(span.get("trace_id") or 0) & MASK64),
        "span_id": str(int(span.get("span_id") or 0) & MASK64),
        "parent_id": str(int(span.get("parent_id") or 0) & MASK64),
        "service": text(span.get("service")), "name": text(span.get("name")),
        "resource": text(span.get("resource")), "type": text(span.get("type")),
        "start_ns": signed64(span.get("start")), "duration_ns": signed64(span.get("duration")),
        "error": int(span.get("error") or 0), "meta": meta,
        "metrics": {text(k): float(v) for k, v in (span.get("metrics") or {}).items()},
        "links": norm_links(span, meta), "events": norm_events(span, meta),
    }
    structs = span.get("meta_struct") or {}
    if structs:
        row["meta_struct"] = {k: msgpack.unpackb(v, raw=False) for k, v in structs.items()}
    return row


def rows_of_chunk(spans):
    spans = [s for s in spans if s is not None]
    high = 0
    for span in spans:
        tid = (span.get("meta") or {}).get("_dd.p.tid")
        if tid:
            high = int(tid, 16)
            break
    return [norm_span(s, high) for s in spans]


def unpack(body):
    return msgpack.unpackb(body, raw=False, strict_map_key=False, unicode_errors="replace")


def decode_v04(body, content_type):
    traces = json.loads(body) if "json" in content_type else unpack(body)
    return [row for chunk in traces for row in rows_of_chunk(chunk)]


V05 = ("service", "name", "resource", "trace_id", "span_id", "parent_id", "start", "duration",
       "error", "meta", "metrics", "type")


def decode_v05(body):
    words, traces = unpack(body)
    rows = []
    for chunk in traces:
        spans = []
        for fields in chunk:
            span = dict(zip(V05, fields))
            for key in ("service", "name", "resource", "type"):
                span[key] = words[span[key]]
            span["meta"] = {words[k]: words[v] for k, v in span["meta"].items()}
            span["metrics"] = {words[k]: v for k, v in span["metrics"].items()}
            spans.append(span)
        rows += rows_of_chunk(spans)
    return rows


def decode_v07(body):
    doc = unpack(body)
    keys = ("container_id", "language_name", "language_version", "tracer_version", "runtime_id",
            "env", "hostname", "app_version")
    rows = [{"kind": "payload", **{k: doc.get(k) or "" for k in keys}, "tags": doc.get("tags") or {}}]
    for chunk in doc["chunks"]:
        for row in rows_of_chunk(chunk["spans"]):
            row["chunk"] = {"priority": chunk.get("priority", -128), "origin": chunk.get("origin") or "",
                            "dropped_trace": bool(chunk.get("dropped_trace")), "tags": chunk.get("tags") or {}}
            rows.append(row)
    return rows


# ---------------------------------------------------------------- protobuf without generated code
def pb_fields(data):
    """Yield (number, wire type, value) of one message."""
    at = 0

    def varint():
        nonlocal at
        shift = value = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value & MASK64

    while at < len(data):
        tag = varint()
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            yield number, wire, varint()
        elif wire == 1:
            yield number, wire, struct.unpack_from("<d", data, at)[0]
            at += 8
        elif wire == 2:
            size = varint()
            yield number, wire, data[at:at + size]
            at += size
        elif wire == 5:
            yield number, wire, data[at:at + 4]
            at += 4
        else:
            raise ValueError(f"wire type {wire}")


def sketch_count(data):
    """Number of values in a DDSketch message."""
    total = 0.0
    for number, _, value in pb_fields(data or b""):
        if number == 4:
            total += value
        if number in (2, 3):
            for num, wire, part in pb_fields(value):
                if num == 2 and wire == 2:
                    total += sum(struct.unpack(f"<{len(part) // 8}d", part))
                elif num == 2:
                    total += part
                elif num == 1:
                    total += sum(v for n, _, v in pb_fields(part) if n == 2)
    return total


def decode_stats(body):
    doc = unpack(body)
    rows = []
    for bucket in doc["Stats"]:
        for g in bucket["Stats"]:
            rows.append({
                "kind": "stats", "env": doc.get("Env") or "", "version": doc.get("Version") or "",
                "bucket_start_ns": bucket["Start"], "bucket_ns": bucket["Duration"],
                "service": g["Service"], "name": g["Name"], "resource": g["Resource"], "type": g["Type"],
                "http_status": int(g.get("HTTPStatusCode") or 0), "span_kind": g.get("SpanKind") or "",
                "synthetics": bool(g.get("Synthetics")), "hits": g["Hits"], "errors": g["Errors"],
                "top_level_hits": g["TopLevelHits"], "duration_ns": int(g["Duration"]),
                "ok_count": sketch_count(g["OkSummary"]), "error_count": sketch_count(g["ErrorSummary"]),
            })
    return rows


# ---------------------------------------------------------------- logs
SYSLOG = ("emergency", "alert", "critical", "error", "warn", "notice", "info", "debug")
TIME_KEYS = ("timestamp", "date", "@timestamp", "_timestamp", "Timestamp", "eventTime", "published_date")


def log_status(raw):
    if isinstance(raw, int) or (isinstance(raw, str) and raw.isdigit()):
        return SYSLOG[int(raw)] if 0 <= int(raw) <= 7 else "info"
    low = str(raw or "").lower()
    if low.startswith("emerg") or low.startswith("f"):
        return "emergency"
    for prefix, status in (("a", "alert"), ("c", "critical"), ("e", "error"), ("w", "warn"),
                           ("n", "notice"), ("i", "info"), ("d", "debug"), ("o", "ok"), ("s", "ok")):
        if low.startswith(prefix):
            return status
    return "debug" if low in ("trace", "verbose") else "info"


def iso_ms(raw):
    import datetime
    if isinstance(raw, (int, float)):
        return int(raw) if raw > 1e11 else int(raw * 1000)
    if re.fullmatch(r"\d{10}|\d{13}", raw):
        return int(raw) if len(raw) == 13 else int(raw) * 1000
    when = datetime.datetime.fromisoformat(raw.replace("Z", "+00:00"))
    if when.tzinfo is None:
        when = when.replace(tzinfo=datetime.timezone.utc)
    return round(when.timestamp() * 1000)


def trace_key(raw):
    raw = str(raw)
    if raw.isdigit() and len(raw) <= 20:
        return hex128(0, int(raw))
    return raw.lower().rjust(32, "0")


def norm_log(item, query, now=None):
    if isinstance(item, str):
        item = {"message": item}
    item = dict(item)
    for key, name in (("ddsource", "ddsource"), ("service", "service"), ("host", "hostname"), ("hostname", "hostname")):
        if query.get(key) and not item.get(name):
            item[name] = query[key]
    inner = item.get("message")
    if isinstance(inner, dict):                       # the Lambda extension's shape
        item.pop("message")
        item = {**item, **inner}
        inner = item.get("message")
    if isinstance(inner, str) and inner.lstrip().startswith("{"):
        try:
            doc = json.loads(inner)
        except ValueError:
            doc = None
        if isinstance(doc, dict):                     # a JSON line inside the message
            item.pop("message")
            item.pop("status", None)
            item = {**item, **doc}
    pick = lambda *keys: next((item[k] for k in keys if item.get(k) not in (None, "")), None)
    dd = item.get("dd") if isinstance(item.get("dd"), dict) else {}
    trace = item.get("dd.trace_id") or dd.get("trace_id") or item.get("trace_id")
    span = item.get("dd.span_id") or dd.get("span_id") or item.get("span_id")
    tags = item.get("ddtags") or item.get("tags") or []
    tags = tags.split(",") if isinstance(tags, str) else list(tags)
    if query.get("ddtags"):
        tags += query["ddtags"].split(",")
    when = pick(*TIME_KEYS)
    taken = {"message", "msg", "log", "status", "severity", "level", "service", "hostname", "host", "ddsource",
             "source", "ddtags", "tags", "dd", "trace_id", "span_id", "dd.trace_id", "dd.span_id", "dd.service", "dd.env", "dd.version",
             *TIME_KEYS}
    return {
        "kind": "log", "message": text(pick("message", "msg", "log")),
        "status": log_status(pick("status", "severity", "level")),
        "service": text(pick("service", "dd.service") or dd.get("service")),
        "host": text(pick("hostname", "host")), "source": text(pick("ddsource", "source")),
        "tags": tag_set(tags), "attributes": {k: v for k, v in item.items() if k not in taken},
        "timestamp_ms": iso_ms(when) if when is not None else None,
        "trace_id": trace_key(trace) if trace else "", "span_id": str(span) if span else "",
    }


def decode_logs(body, content_type, query):
    if "text/plain" in content_type:
        return [norm_log(line, query) for line in body.decode().split("\n") if line]
    doc = json.loads(body)
    return [norm_log(i, query) for i in (doc if isinstance(doc, list) else [doc])]


# ---------------------------------------------------------------- metrics, events, checks
def tag_set(tags):
    """A set without the tags that the intake consumes itself."""
    return sorted({t for t in tags or [] if not t.startswith("dd.internal.")})


def point(name, kind, ts, values, tags, host="", interval=0, rate=1.0):
    return {"kind": "point", "name": name, "type": kind, "ts": ts, "values": values,
            "tags": tag_set(tags), "host": host or "", "interval": interval or 0, "rate": rate}


def decode_series_v1(body):
    rows = []
    for s in json.loads(body)["series"]:
        for ts, value in s["points"]:
            values = value if isinstance(value, list) else [value]
            rows.append(point(s["metric"], s.get("type") or "gauge", int(ts), [float(v) for v in values],
                              s.get("tags"), s.get("host"), s.get("interval")))
    return rows


V2_TYPES = ("gauge", "count", "rate", "gauge")


def decode_series_v2(body):
    rows = []
    for s in json.loads(body)["series"]:
        host = next((r["name"] for r in s.get("resources") or [] if r["type"] == "host"), "")
        for p in s["points"]:
            rows.append(point(s["metric"], V2_TYPES[s.get("type", 0)], int(p["timestamp"]), [float(p["value"])],
                              s.get("tags"), host, s.get("interval")))
    return rows


def decode_series_pb(body):
    rows = []
    for number, _, raw in pb_fields(body):
        if number != 1:
            continue
        name, kind, interval, host, tags, points = "", 0, 0, "", [], []
        for num, _, value in pb_fields(raw):
            if num == 1:
                res = {n: v.decode() for n, _, v in pb_fields(value)}
                host = res.get(2, "") if res.get(1) == "host" else host
            elif num == 2:
                name = value.decode()
            elif num == 3:
                tags.append(value.decode())
            elif num == 4:
                got = {n: v for n, _, v in pb_fields(value)}
                points.append((signed64(got.get(2, 0)), float(got.get(1, 0.0))))
            elif num == 5:
                kind = value
            elif num == 8:
                interval = value
        rows += [point(name, V2_TYPES[kind], ts, [v], tags, host, interval) for ts, v in points]
    return rows


def decode_check_run(body):
    doc = json.loads(body)
    return [{"kind": "check", "name": c["check"], "status": c["status"], "message": c.get("message") or "",
             "tags": tag_set(c.get("tags")), "host": c.get("host_name") or "", "ts": c.get("timestamp")}
            for c in (doc if isinstance(doc, list) else [doc])]


def event_row(e):
    return {"kind": "event", "title": e["title"], "text": e["text"], "tags": tag_set(e.get("tags")),
            "host": e.get("host") or "", "ts": e.get("date_happened"), "alert_type": e.get("alert_type") or "info",
            "priority": e.get("priority") or "normal", "aggregation_key": e.get("aggregation_key") or "",
            "source_type_name": e.get("source_type_name") or ""}


STATSD = {"c": "count", "g": "gauge", "ms": "timing", "h": "histogram", "d": "distribution", "s": "set"}


def split_statsd(body):
    """Lines of a datagram; an event is cut out by its byte lengths because it may hold raw newlines."""
    out = []
    while body:
        head = re.match(rb"_e\{(\d+),(\d+)\}:", body)
        skip = head.end() + int(head[1]) + 1 + int(head[2]) if head else 0
        cut = body.find(b"\n", skip)
        line, body = (body, b"") if cut < 0 else (body[:cut], body[cut + 1:])
        if line:
            out.append(line)
    return out


def statsd_fields(parts):
    got = {"tags": []}
    for raw in parts:
        part = raw.decode("utf-8", "replace")
        if part.startswith("#"):
            got["tags"] = [t for t in part[1:].split(",") if t]
        elif part.startswith("@"):
            got["rate"] = float(part[1:])
        elif part[:1] == "T" and part[1:].isdigit():
            got["T"] = int(part[1:])
        elif part[1:2] == ":":
            got[part[0]] = part[2:]
    return got


def decode_statsd_line(line):
    head = re.match(rb"_e\{(\d+),(\d+)\}:", line)
    if head:
        a, b = int(head[1]), int(head[2])
        title = line[head.end():head.end() + a]
        body = line[head.end() + a + 1:head.end() + a + 1 + b]
        f = statsd_fields(line[head.end() + a + 1 + b:].split(b"|")[1:])
        clean = lambda raw: raw.decode("utf-8", "replace").replace("\\n", "\n")
        return event_row({"title": clean(title), "text": clean(body), "tags": f["tags"], "host": f.get("h"),
                          "date_happened": int(f["d"]) if "d" in f else None, "alert_type": f.get("t"),
                          "priority": f.get("p"), "aggregation_key": f.get("k"), "source_type_name": f.get("s")})
    if line.startswith(b"_sc|"):
        parts = line.split(b"|")
        f = statsd_fields(parts[3:])
        message = f.get("m", "").replace("m\\:", "m:").replace("\\n", "\n")
        return {"kind": "check", "name": parts[1].decode(), "status": int(parts[2]), "message": message,
                "tags": tag_set(f["tags"]), "host": f.get("h") or "", "ts": int(f["d"]) if "d" in f else None}
    name, rest = line.split(b":", 1)
    parts = rest.split(b"|")
    kind = STATSD[parts[1].decode()]
    f = statsd_fields(parts[2:])
    if kind == "set":
        values = [parts[0].decode()]
    else:
        values = [float(v) for v in parts[0].split(b":") if v]
    return point(name.decode(), kind, f.get("T"), values, f["tags"], rate=f.get("rate", 1.0))


# ---------------------------------------------------------------- the rest
def decode_telemetry(body):
    doc = json.loads(body)
    inner = doc["payload"] if doc["request_type"] == "message-batch" else []
    return [{"kind": "telemetry", "request_type": doc["request_type"], "seq_id": doc["seq_id"],
             "service": doc["application"]["service_name"], "env": doc["application"].get("env") or "",
             "language": doc["application"]["language_name"], "tracer_version": doc["application"]["tracer_version"],
             "batch": [p["request_type"] for p in inner]}]


def decode_config_poll(body):
    client = json.loads(body)["client"]
    return [{"kind": "config_poll", "client_id": client["id"], "products": client["products"],
             "service": client["client_tracer"]["service"], "language": client["client_tracer"]["language"]}]


def decode(method, target, headers, body):
    """One request -> its rows in arrival order."""
    if method == "UDP":
        return [decode_statsd_line(line) for line in split_statsd(body)]
    url = urllib.parse.urlsplit(target)
    query = {k: v[0] for k, v in urllib.parse.parse_qs(url.query).items()}
    kind = headers.get("content-type", "")
    body = unpack_body(body, headers.get("content-encoding"))
    path = url.path
    if path in ("/v0.3/traces", "/v0.4/traces"):
        return decode_v04(body, kind)
    if path == "/v0.5/traces":
        return decode_v05(body)
    if path == "/v0.7/traces":
        return decode_v07(body)
    if path == "/v0.6/stats":
        return decode_stats(body)
    if path.startswith("/telemetry/"):
        return decode_telemetry(body)
    if path == "/v0.7/config":
        return decode_config_poll(body)
    if path == "/dogstatsd/v2/proxy":
        return [decode_statsd_line(line) for line in split_statsd(body)]
    if path in ("/api/v2/logs", "/v1/input"):
        return decode_logs(body, kind, query)
    if path in ("/api/v1/series", "/api/v1/distribution_points"):
        rows = decode_series_v1(body)
        for row in rows:
            if path.endswith("distribution_points"):
                row["type"] = "distribution"
        return rows
    if path == "/api/v2/series":
        return decode_series_pb(body) if "protobuf" in kind else decode_series_v2(body)
    if path == "/api/v1/check_run":
        return decode_check_run(body)
    if path == "/api/v1/events":
        return [event_row(json.loads(body))]
    raise ValueError(f"no decoder for {path}")


def dump(rows):
    return "".join(json.dumps(r, ensure_ascii=False, sort_keys=True) + "\n" for r in rows)


if __name__ == "__main__":
    sys.stdout.write(dump(decode(*load_case(sys.argv[1]))))
