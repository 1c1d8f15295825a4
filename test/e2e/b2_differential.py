# SPDX-License-Identifier: Apache-2.0
"""Random rows and random searches, answered three times: by yagura, by a slow obvious reference in Python and by SQLite.

Every search is a small tree that knows how to say itself in the search language, in SQL and as a Python predicate. The
same questions are asked while all rows are in memory, after they went to files, after `kill -9`, and after restarts
whose small files were merged; the answers must not change.
"""
import collections
import json
import math
import os
import random
import re
import sqlite3
import time

import pytest
from server import API_KEY, http_request

SEED = int(os.environ.get("YAGURA_TEST_SEED") or random.SystemRandom().randrange(10**6))    # printed by a failing test
SERVICES = ["web", "Web", "pay", "pay-eu", "cart", "größe", "a.b", "x y"]
HOSTS = ["h1", "h2", "ip-10-0-0-1"]
STATUSES = ["info", "warn", "error", "debug"]
WORDS = ["timeout", "Timeout", "connection", "refused", "order", "user", "Größe", "retry", "ok", "e42", "42", "4711", "a1b2c3"]
PATHS = ["/api/v1/orders", "/api/v1/orders/7", "/health", "/api/v2/users", "/static/*.js"]
USERS = [f"u{n}" for n in range(40)]


# ------------------------------------------------------------ rows

def maybe(rng, share, value):
    return value if rng.random() < share else None


def random_row(rng, n, base_ms):
    words = [rng.choice(WORDS) for _ in range(rng.randrange(1, 7))]
    row = {"n": n, "timestamp": base_ms + rng.randrange(3_000_000), "service": rng.choice(SERVICES), "hostname": rng.choice(HOSTS),
           "status": rng.choices(STATUSES, [70, 10, 15, 5])[0], "message": " ".join(words)}
    extra = {"code": maybe(rng, 0.7, rng.choice([200, 200, 200, 404, 500, 503])),
             "ms": maybe(rng, 0.8, round(rng.lognormvariate(3, 1), 2)),
             "neg": maybe(rng, 0.3, rng.randrange(-1000, 1000)),
             "big": maybe(rng, 0.2, rng.randrange(10**12, 10**15)),
             "user": maybe(rng, 0.5, rng.choice(USERS)),
             "path": maybe(rng, 0.6, rng.choice(PATHS)),
             "req": maybe(rng, 0.9, f"{rng.randrange(2**32):08x}-{rng.randrange(2**16):04x}-4{rng.randrange(2**12):03x}-8{rng.randrange(2**12):03x}-{rng.randrange(2**48):012x}"),
             "mixed": maybe(rng, 0.4, rng.choice(["12", 12, "twelve", 12.5])),
             "flag": maybe(rng, 0.3, rng.random() < 0.5),
             f"rare{rng.randrange(300)}": maybe(rng, 0.2, rng.randrange(10))}
    row.update({k: v for k, v in extra.items() if v is not None})
    return row


def text_of(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value == int(value):
        return str(int(value))
    return str(value)


def number_of(value):
    if isinstance(value, bool) or value is None:
        return None
    try:
        return float(value)
    except ValueError:
        return None


# ------------------------------------------------------------ searches: text, SQL, predicate

Search = collections.namedtuple("Search", "text sql holds")
COLUMNS = {"service": "service", "host": "hostname", "status": "status"}


def quoted(value):
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def sql_text(value):
    return "'" + value.replace("'", "''") + "'"


def equals(rng):
    field, values = rng.choice([("service", SERVICES), ("host", HOSTS), ("status", STATUSES), ("@user", USERS), ("@path", PATHS)])
    value = rng.choice(values + ["nowhere"])
    column = COLUMNS.get(field, field.lstrip("@"))
    return Search(f"{field}:{quoted(value)}", f"IFNULL(t_{column} = {sql_text(value)}, 0)", lambda r: r.get(column) == value)


def number_equals(rng):
    column, value = rng.choice([("code", rng.choice([200, 404, 500, 777])), ("mixed", 12), ("neg", rng.randrange(-20, 20))])
    return Search(f"@{column}:{quoted(str(value))}", f"IFNULL(n_{column} = {value}, 0)",
                  lambda r: number_of(r.get(column)) == value)


def number_range(rng):
    column = rng.choice(["code", "ms", "neg", "big", "mixed"])
    low = {"code": 300, "ms": round(rng.uniform(0, 60), 2), "neg": rng.randrange(-900, 900), "big": rng.randrange(10**12, 10**15),
           "mixed": 12}[column]
    high = low + rng.choice([1, 50, 400, 10**14])
    op = rng.choice([">", ">=", "<", "<=", "range"])
    if op == "range":
        return Search(f"@{column}:[{low} TO {high}]", f"IFNULL(n_{column} BETWEEN {low} AND {high}, 0)",
                      lambda r: number_of(r.get(column)) is not None and low <= number_of(r[column]) <= high)
    compare = {">": lambda x: x > low, ">=": lambda x: x >= low, "<": lambda x: x < low, "<=": lambda x: x <= low}[op]
    return Search(f"@{column}:{op}{low}", f"IFNULL(n_{column} {op} {low}, 0)",
                  lambda r: number_of(r.get(column)) is not None and compare(number_of(r[column])))


def exists(rng):
    column = rng.choice(["code", "user", "req", "flag", "mixed", "neg", f"rare{rng.randrange(300)}", "never"])
    if column == "never" or column.startswith("rare"):
        sql = f"IFNULL(json_extract(doc, '$.{column}') IS NOT NULL, 0)"
    else:
        sql = f"t_{column} IS NOT NULL"
    return Search(f"@{column}:*", sql, lambda r: r.get(column) is not None)


def pattern(rng):
    column, glob = rng.choice([("path", "/api/*"), ("path", "*orders*"), ("path", "/api/v?/users"), ("user", "u1*"), ("user", "u?"),
                               ("req", "*a-*"), ("path", "*S*")])
    expr = re.compile("".join(".*" if c == "*" else "." if c == "?" else re.escape(c) for c in glob) + r"\Z", re.S)
    return Search(f"@{column}:{glob}", f"IFNULL(t_{column} GLOB {sql_text(glob)}, 0)",
                  lambda r: column in r and expr.match(r[column]) is not None)


def word(rng):
    wanted = rng.choice(WORDS + ["absent99"])
    return Search(quoted(wanted), f"has_word(t_message, {sql_text(wanted)})",
                  lambda r: wanted.casefold() in [w.casefold() for w in r["message"].split()])


def phrase(rng):
    wanted = [rng.choice(WORDS), rng.choice(WORDS)]

    def holds(r):
        words = [w.casefold() for w in r["message"].split()]
        return any(words[i:i + 2] == [w.casefold() for w in wanted] for i in range(len(words)))
    return Search(quoted(" ".join(wanted)), f"has_phrase(t_message, {sql_text(' '.join(wanted))})", holds)


def one_request(rows):
    def make(rng):
        value = rng.choice([r["req"] for r in rng.sample(rows, 50) if "req" in r] + ["00000000-0000-4000-8000-000000000000"])
        return Search(f"@req:{value}", f"IFNULL(t_req = {sql_text(value)}, 0)", lambda r: r.get("req") == value)
    return make


def tree(rng, leaves, depth=3):
    kind = rng.choice(["leaf", "leaf", "and", "or", "not"]) if depth else "leaf"
    if kind == "leaf":
        return rng.choice(leaves)(rng)
    if kind == "not":
        a = tree(rng, leaves, depth - 1)
        return Search(f"NOT ({a.text})", f"NOT ({a.sql})", lambda r: not a.holds(r))
    a, b = tree(rng, leaves, depth - 1), tree(rng, leaves, depth - 1)
    if kind == "and":
        return Search(f"({a.text}) AND ({b.text})", f"(({a.sql}) AND ({b.sql}))", lambda r: a.holds(r) and b.holds(r))
    return Search(f"({a.text}) OR ({b.text})", f"(({a.sql}) OR ({b.sql}))", lambda r: a.holds(r) or b.holds(r))


# ------------------------------------------------------------ the reference in SQLite

TEXTS = ["service", "hostname", "status", "message", "user", "path", "req", "mixed", "flag", "code", "ms", "neg", "big"]
NUMBERS = ["code", "ms", "neg", "big", "mixed"]


def database(rows):
    db = sqlite3.connect(":memory:")
    db.create_function("has_word", 2, lambda m, w: w.casefold() in [x.casefold() for x in m.split()], deterministic=True)

    def has_phrase(message, wanted):
        words, two = [x.casefold() for x in message.split()], wanted.casefold().split()
        return any(words[i:i + 2] == two for i in range(len(words)))
    db.create_function("has_phrase", 2, has_phrase, deterministic=True)
    columns = [f"t_{c} TEXT" for c in TEXTS] + [f"n_{c} NUMERIC" for c in NUMBERS]
    db.execute(f"CREATE TABLE logs (n INTEGER, ts INTEGER, doc TEXT, {', '.join(columns)})")
    marks = ", ".join("?" * (3 + len(columns)))
    db.executemany(f"INSERT INTO logs VALUES ({marks})", [
        (r["n"], r["timestamp"], json.dumps(r), *[None if r.get(c) is None else text_of(r[c]) for c in TEXTS],
         *[number_of(r.get(c)) for c in NUMBERS]) for r in rows])
    return db


# ------------------------------------------------------------ questions

class Asker:
    def __init__(self, node, rows, db, base_ms):
        self.node, self.rows, self.db = node, rows, db
        self.times = {"from": str(base_ms - 1000), "to": str(base_ms + 3_600_000)}

    def aggregate(self, search, computes, groups=()):
        res = self.node.post("/api/v2/logs/analytics/aggregate", timeout_s=60, body={
            "filter": {"query": search.text, **self.times}, "compute": computes, "group_by": list(groups)})
        assert res.status == 200, (search.text, res)
        assert not res.json["meta"].get("warnings"), res
        return res.json["data"]["buckets"]

    def reference(self, search):
        by_hand = [r for r in self.rows if search.holds(r)]
        by_sql = {n for (n,) in self.db.execute(f"SELECT n FROM logs WHERE {search.sql}")}
        assert by_sql == {r["n"] for r in by_hand}, f"the two references differ: {search.text} / {search.sql} (seed {SEED})"
        return by_hand

    def check_rows(self, search):
        """Which rows, in which order, through all pages."""
        wanted = self.reference(search)
        found = self.node.search_logs(search.text, since=self.times["from"], until=self.times["to"])
        got = [int(r["attributes"]["attributes"]["n"]) for r in found]
        assert sorted(got) == sorted(r["n"] for r in wanted), f"{search.text} (seed {SEED})"
        when = {r["n"]: r["timestamp"] for r in wanted}
        assert [when[n] for n in got] == sorted(when.values()), f"order of {search.text} (seed {SEED})"

    def check_measures(self, search, column):
        wanted = self.reference(search)
        values = [v for v in (number_of(r.get(column)) for r in wanted) if v is not None]
        bucket = self.aggregate(search, [
            {"aggregation": "count"}, {"aggregation": "sum", "metric": f"@{column}"}, {"aggregation": "min", "metric": f"@{column}"},
            {"aggregation": "max", "metric": f"@{column}"}, {"aggregation": "avg", "metric": f"@{column}"},
            {"aggregation": "pc90", "metric": f"@{column}"}, {"aggregation": "cardinality", "metric": "@user"}])
        got = bucket[0]["computes"] if bucket else {}
        where = f"{search.text} on {column} (seed {SEED})"
        assert got.get("c0", 0) == len(wanted), where
        assert got.get("c6", 0) == len({r["user"] for r in wanted if "user" in r}), where
        if not values:
            assert got.get("c1") in (None, 0), where
            return
        assert math.isclose(got["c1"], math.fsum(values), rel_tol=1e-9, abs_tol=1e-6), where
        assert (got["c2"], got["c3"]) == (min(values), max(values)), where
        assert math.isclose(got["c4"], math.fsum(values) / len(values), rel_tol=1e-9, abs_tol=1e-6), where
        self.check_percentile(sorted(values), 0.9, got["c5"], where)

    def check_percentile(self, values, q, got, where):
        """Within the sketch's error of one of the values beside the rank."""
        at = q * (len(values) - 1)
        beside = values[max(0, math.floor(at) - 1):math.ceil(at) + 2]
        low, high = min(beside), max(beside)
        assert low - 0.03 * abs(low) - 1e-9 <= got <= high + 0.03 * abs(high) + 1e-9, (where, low, got, high)

    def check_groups(self, search, facet):
        column = COLUMNS.get(facet, facet.lstrip("@"))
        wanted = collections.defaultdict(list)
        for r in self.reference(search):
            if r.get(column) is not None:
                wanted[text_of(r[column])].append(r)
        got = {b["by"][facet]: b["computes"] for b in self.aggregate(
            search, [{"aggregation": "count"}, {"aggregation": "sum", "metric": "@code"}], [{"facet": facet, "limit": 1000}])}
        where = f"{search.text} by {facet} (seed {SEED})"
        assert {k: v["c0"] for k, v in got.items()} == {k: len(v) for k, v in wanted.items()}, where
        for key, rows in wanted.items():
            codes = [r["code"] for r in rows if "code" in r]
            assert (got[key]["c1"] or 0) == sum(codes), where

    def check_series(self, search, interval_ms):
        wanted = collections.Counter(r["timestamp"] // interval_ms * interval_ms for r in self.reference(search))
        buckets = self.aggregate(search, [{"aggregation": "count", "type": "timeseries", "interval": f"{interval_ms // 1000}s"}])
        got = {}
        for point in buckets[0]["computes"]["c0"] if buckets else []:
            at = time.strptime(point["time"][:19], "%Y-%m-%dT%H:%M:%S")
            got[int((time.mktime(at) - time.timezone) * 1000)] = point["value"]
        got = {k: v for k, v in got.items() if v}
        assert got == dict(wanted), f"{search.text} every {interval_ms} ms (seed {SEED})"

    def ask(self, rng, searches):
        for search in searches:
            kind = rng.choice(["rows", "measures", "groups", "series"])
            if kind == "rows":
                self.check_rows(search)
            elif kind == "measures":
                self.check_measures(search, rng.choice(["code", "ms", "neg", "big"]))
            elif kind == "groups":
                self.check_groups(search, rng.choice(["service", "host", "status", "@user", "@path", "@code", "@mixed", "@flag"]))
            else:
                self.check_series(search, rng.choice([60_000, 300_000]))


def load(node, rows, rng):
    """In bodies of random length: some rows alone, most in hundreds."""
    at = 0
    while at < len(rows):
        count = rng.choice([1, 7, 100, 500])
        body = json.dumps([{k: v for k, v in r.items()} for r in rows[at:at + count]])
        res = http_request(node.api, "POST", "/api/v2/logs", body, {"Content-Type": "application/json", "DD-API-KEY": API_KEY})
        assert res.status == 202, res
        at += count


def differential(make_yagura, row_count, searches_each):
    rng = random.Random(SEED)
    base_ms = (int(time.time()) - 3600) * 1000
    rows = [random_row(rng, n, base_ms) for n in range(row_count)]
    rng.shuffle(rows)
    leaves = [equals, equals, number_equals, number_range, exists, pattern, word, phrase, one_request(rows)]
    searches = [tree(rng, leaves) for _ in range(searches_each)] + [leaf(rng) for leaf in leaves]
    node = make_yagura()
    asker = Asker(node, rows, database(rows), base_ms)
    parts = 8
    for part in range(parts):                           # several small files, so that there is something to merge
        load(node, rows[part * row_count // parts:(part + 1) * row_count // parts], rng)
        if part == 0:
            first = Asker(node, rows[:row_count // parts], database(rows[:row_count // parts]), base_ms)
            first.ask(random.Random(SEED), searches)    # memory segments only
        if part < parts - 1:
            node.restart()
    asker.ask(random.Random(SEED + 1), searches)        # files, and the last part in memory
    node.kill9()
    node.start()
    asker.ask(random.Random(SEED + 2), searches)        # after recovery
    node.restart()
    asker.ask(random.Random(SEED + 3), searches)        # all in files, merged or about to be


def test_answers_are_those_of_two_references(make_yagura):
    differential(make_yagura, row_count=4_000, searches_each=40)


@pytest.mark.soak
def test_answers_are_those_of_two_references_at_length(make_yagura):
    for _ in range(5):
        differential(make_yagura, row_count=40_000, searches_each=300)
