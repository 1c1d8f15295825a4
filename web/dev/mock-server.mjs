// SPDX-License-Identifier: Apache-2.0
// Development server: serves a built page and answers docs/api.md with invented data. Not part of the product.
// Usage: node dev/mock-server.mjs DIST [PORT] [--empty] [--api http://HOST:PORT] ; prints the address, port 0 picks a free one.
// --api hands all calls to a running yagura with the keys of $DD_API_KEY and $DD_APP_KEY, so that a new page is tried on real data.
import { createServer, request } from 'node:http';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { bigTrace, makeLogs, makeMonitors, makeTraces, METRICS, NOW, rng, TAG_VALUES } from './data.mjs';
import { encodeTrace } from './encode-trace.mjs';

const dist = resolve(process.argv[2] ?? 'dist');
const port = Number(process.argv[3] ?? 8800);
const empty = process.argv.includes('--empty');
const upstream = process.argv.includes('--api') ? new URL(process.argv[process.argv.indexOf('--api') + 1]) : null;
/** Read anew each time: a new build is served without a restart. */
const files = () =>
  new Map(JSON.parse(readFileSync(join(dist, 'manifest.json'), 'utf8')).files.map((f) => [f.path, f]));
const CSP =
  "default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'";

const traces = empty ? [] : makeTraces();
const logs = empty ? [] : makeLogs(traces);
const monitors = empty ? [] : makeMonitors();
const started = Date.now();

function bound(s, dflt) {
  if (s === undefined || s === null || s === '') return dflt;
  const m = /^now(?:-(\d+)([smhdw]))?$/.exec(s);
  if (m) return Date.now() - (m[1] ? Number(m[1]) * { s: 1e3, m: 6e4, h: 36e5, d: 864e5, w: 6048e5 }[m[2]] : 0);
  return /^\d+$/.test(String(s)) ? Number(s) : Date.parse(s);
}
class Bad extends Error {
  constructor(status, detail, column) {
    super(detail);
    this.status = status;
    this.column = column;
  }
}

/** A small stand-in for the search grammar: terms joined by AND, `-`, `key:value`, `key:(a OR b)`, comparisons, words. */
function matcher(q) {
  const parts = String(q ?? '').match(/-?[\w@.*]+:\([^)]*\)|-?[\w@.*]+:"[^"]*"|-?"[^"]*"|\S+/g) ?? [];
  if ((q.match(/\(/g) ?? []).length !== (q.match(/\)/g) ?? []).length)
    throw new Bad(400, 'unbalanced bracket', q.length);
  const tests = parts
    .filter((p) => p !== 'AND' && p !== '*')
    .map((p) => {
      const neg = p.startsWith('-');
      const body = neg ? p.slice(1) : p;
      const m = /^([\w@.*]+):(.*)$/.exec(body);
      const un = (s) => s.replace(/^"|"$/g, '');
      const one = (v) => {
        const re = new RegExp(
          '^' +
            un(v)
              .replace(/[.+^${}()|[\]\\]/g, '\\$&')
              .replace(/\*/g, '.*') +
            '$',
          'i',
        );
        return (x) => re.test(String(x));
      };
      let f;
      if (m && m[1] !== '*') {
        const cmp = /^(>=|<=|>|<)(-?[\d.]+)$/.exec(m[2]);
        const any = cmp
          ? [(x) => ({ '>=': x >= cmp[2], '<=': x <= cmp[2], '>': x > +cmp[2], '<': x < +cmp[2] })[cmp[1]]]
          : m[2]
              .replace(/^\(|\)$/g, '')
              .split(' OR ')
              .map(one);
        f = (get, text) => get(m[1]).some((x) => any.some((t) => t(x))) && text !== undefined;
      } else {
        const w = un(m ? m[2] : body)
          .toLowerCase()
          .replace(/\*/g, '');
        f = (_, text) => text.toLowerCase().includes(w);
      }
      return (get, text) => f(get, text) !== neg;
    });
  return (get, text) => tests.every((t) => t(get, text));
}
const path = (o, p) => p.split('.').reduce((x, k) => (x && typeof x === 'object' ? x[k] : undefined), o);
const logGet = (l) => (k) => {
  if (k.startsWith('@')) return [path(l.attributes, k.slice(1))].filter((x) => x !== undefined);
  if (k === 'trace_id') return [l.attributes.trace_id];
  if (k in l && typeof l[k] === 'string') return [l[k]];
  return l.tags.filter((t) => t.startsWith(k + ':')).map((t) => t.slice(k.length + 1));
};
const spanGet = (t, s) => (k) =>
  ({
    service: [s.service],
    env: [t.env],
    resource_name: [s.resource],
    operation_name: [s.name],
    status: [s.flags & 1 ? 'error' : 'ok'],
    type: [s.type],
    trace_id: [t.id],
    version: ['41'],
    '@cold_start': t.cold ? ['true'] : ['false'],
    cold_start: [String(t.cold)],
    '@http.status_code': s === t.spans[0] ? [t.status] : [],
    '@http.route': s === t.spans[0] ? [s.resource] : [],
    '@tablename': s.type === 'db' ? [s.resource.split(' ')[0]] : [],
  })[k] ?? [];

function sums(t) {
  const root = t.spans[0];
  const end = Math.max(...t.spans.map((s) => s.start + s.dur));
  const by = new Map();
  const kids = new Map();
  for (const s of t.spans) kids.set(s.parent, (kids.get(s.parent) ?? 0) + s.dur);
  for (const s of t.spans) {
    const x = by.get(s.service) ?? { name: s.service, spans: 0, self_ns: 0 };
    x.spans++;
    x.self_ns += Math.max(0, Math.round(s.dur - (kids.get(s.id) ?? 0)));
    by.set(s.service, x);
  }
  return {
    trace_id: t.id,
    start_ns: String(BigInt(t.start) * 1000000n),
    duration_ns: Math.round(end),
    root: { service: root.service, name: root.name, resource: root.resource, type: root.type, status_code: t.status },
    env: t.env,
    span_count: t.spans.length,
    error_count: t.spans.filter((s) => s.flags & 1).length,
    cold: t.cold,
    cold_ns: t.coldNs,
    services: [...by.values()].sort((a, b) => b.self_ns - a.self_ns),
  };
}
const rowsOf = new Map(traces.map((t) => [t, sums(t)]));
const LADDER = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 21600, 43200, 86400, 604800].map(
  (s) => s * 1000,
);
const quantile = (sorted, q) => sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? 0;

function heat(rows, from, to) {
  const step = LADDER.find((s) => (to - from) / s <= 60) ?? 604800000;
  const start = Math.floor(from / step) * step,
    cols = Math.max(1, Math.ceil((to - start) / step));
  const edges = [];
  const lo = Math.min(...rows.map((r) => r.duration_ns)),
    hi = Math.max(...rows.map((r) => r.duration_ns));
  for (let p = 1; edges[edges.length - 1] === undefined || edges[edges.length - 1] <= hi; p *= 10)
    for (const k of [1, 2, 5]) {
      const e = p * k;
      if (e * 2.5 > lo && (edges[edges.length - 1] ?? 0) <= hi) edges.push(e);
    }
  const n = edges.length - 1,
    counts = new Array(n * cols).fill(0),
    errors = new Array(n * cols).fill(0);
  for (const r of rows) {
    let k = edges.findIndex((e) => e > r.duration_ns) - 1;
    k = Math.max(0, Math.min(n - 1, k < -1 ? n - 1 : k));
    const c = Math.min(cols - 1, Math.floor((Number(BigInt(r.start_ns) / 1000000n) - start) / step));
    counts[k * cols + c]++;
    if (r.error_count) errors[k * cols + c]++;
  }
  return { start_ms: start, step_ms: step, cols, edges_ns: edges, counts, errors };
}

function searchTraces(b) {
  const from = bound(b.from, Date.now() - 9e5),
    to = bound(b.to, Date.now());
  if (from >= to) throw new Bad(422, "'from' should be before 'to'");
  const match = matcher(b.q ?? '');
  let rows = traces
    .filter(
      (t) => t.start >= from && t.start < to && t.spans.some((s) => match(spanGet(t, s), `${s.name} ${s.resource}`)),
    )
    .map((t) => rowsOf.get(t));
  if (b.min_duration_ns) rows = rows.filter((r) => r.duration_ns >= b.min_duration_ns);
  if (b.max_duration_ns) rows = rows.filter((r) => r.duration_ns < b.max_duration_ns);
  const key = (b.sort ?? '-duration').replace(/^-/, '');
  const val = {
    duration: (r) => r.duration_ns,
    spans: (r) => r.span_count,
    start: (r) => Number(BigInt(r.start_ns) / 1000n),
    errors: (r) => r.error_count,
  }[key];
  if (!val) throw new Bad(400, `unknown sort ${b.sort}`);
  rows.sort(
    (x, y) => (val(y) - val(x)) * ((b.sort ?? '-').startsWith('-') ? 1 : -1) || (x.trace_id < y.trace_id ? -1 : 1),
  );
  const at = b.cursor ? Number(b.cursor) : 0,
    limit = Math.min(200, b.limit ?? 50);
  const out = {
    range: { from_ms: from, to_ms: to },
    matched: rows.length,
    partial: false,
    scanned: { rows: traces.length * 20, bytes: 5120000 },
    cursor: at + limit < rows.length ? String(at + limit) : null,
    data: rows.slice(at, at + limit),
  };
  if (b.summary) {
    const d = rows.map((r) => r.duration_ns).sort((x, y) => x - y);
    out.summary = {
      count: rows.length,
      errors: rows.filter((r) => r.error_count).length,
      p50_ns: quantile(d, 0.5),
      p75_ns: quantile(d, 0.75),
      p90_ns: quantile(d, 0.9),
      p95_ns: quantile(d, 0.95),
      p99_ns: quantile(d, 0.99),
      max_ns: d[d.length - 1] ?? 0,
      heat: rows.length
        ? heat(rows, from, to)
        : { start_ms: from, step_ms: 60000, cols: 1, edges_ns: [1e6, 2e6], counts: [0], errors: [0] },
    };
  }
  return out;
}

function facets(track, q, from, to, metric) {
  const count = new Map();
  let total = 0;
  const add = (k, v) => {
    if (v === undefined || v === '') return;
    const m = count.get(k) ?? new Map();
    m.set(String(v), (m.get(String(v)) ?? 0) + 1);
    count.set(k, m);
  };
  if (track === 'metrics') {
    for (const k of METRICS[metric] ?? [])
      for (const v of TAG_VALUES[k]) {
        add(k, v);
        total++;
      }
  } else if (track === 'logs') {
    const match = matcher(q);
    for (const l of logs) {
      if (l.at < from || l.at >= to || !match(logGet(l), l.message)) continue;
      total++;
      for (const k of [
        'status',
        'service',
        'env',
        'host',
        '@user_id',
        '@handler',
        '@http.status_code',
        'version',
        'region',
      ])
        for (const v of logGet(l)(k)) add(k, v);
    }
  } else {
    const match = matcher(q);
    for (const t of traces) {
      if (t.start < from || t.start >= to) continue;
      for (const s of track === 'traces' ? [t.spans[0]] : t.spans) {
        if (!match(spanGet(t, s), `${s.name} ${s.resource}`)) continue;
        total++;
        for (const k of [
          'service',
          'env',
          'status',
          'operation_name',
          'resource_name',
          '@http.status_code',
          '@tablename',
          '@cold_start',
          'version',
        ])
          for (const v of spanGet(t, s)(k)) add(k, v);
      }
    }
  }
  return { total, count };
}

function fleet(u) {
  const from = bound(u.get('from'), Date.now() - 36e5),
    to = bound(u.get('to'), Date.now()),
    env = u.get('env');
  const step = (to - from) / 24;
  const by = new Map();
  for (const t of traces) {
    if (t.start < from || t.start >= to || (env && t.env !== env)) continue;
    const seen = new Map(t.spans.map((s) => [s.id, s]));
    for (const s of t.spans) {
      const p = seen.get(s.parent);
      if (p && p.service === s.service) continue;
      if (s.service.startsWith('aws.')) continue;
      const k = `${s.service}|${t.env}`;
      const x = by.get(k) ?? {
        name: s.service,
        env: t.env,
        kind: s.type === 'serverless' ? 'function' : 'service',
        durs: [],
        hits: 0,
        errors: 0,
        cold: 0,
        last_ms: 0,
        b: Array.from({ length: 24 }, () => []),
        e: new Array(24).fill(0),
      };
      const i = Math.min(23, Math.floor((t.start - from) / step));
      x.hits++;
      x.errors += s.flags & 1;
      x.cold += s.flags & 2 ? 1 : 0;
      x.durs.push(s.dur);
      x.b[i].push(s.dur);
      x.e[i] += s.flags & 1;
      x.last_ms = Math.max(x.last_ms, t.start);
      by.set(k, x);
    }
  }
  const p = (a, q) =>
    a.length
      ? Math.round(
          quantile(
            [...a].sort((x, y) => x - y),
            q,
          ),
        )
      : null;
  const r = rng(3);
  const items = [...by.values()]
    .map((x) => ({
      name: x.name,
      kind: x.kind,
      env: x.env,
      hits: x.hits * 37,
      errors: x.errors * 37,
      cold: x.cold * 37,
      p50_ns: p(x.durs, 0.5),
      p95_ns: p(x.durs, 0.95),
      p99_ns: p(x.durs, 0.99),
      last_ms: x.last_ms,
      hits_spark: x.b.map((b) => b.length * 37),
      errors_spark: x.e.map((e) => e * 37),
      p95_spark: x.b.map((b) => p(b, 0.95)),
      prev: {
        hits: Math.round(x.hits * 37 * (0.8 + r() * 0.4)),
        errors: Math.round(x.errors * 37 * (0.3 + r())),
        p95_ns: Math.round((p(x.durs, 0.95) ?? 0) * (x.name === 'search-service' ? 0.32 : 0.8 + r() * 0.4)),
      },
    }))
    .sort((a, b) => b.hits - a.hits);
  const all = [...by.values()].flatMap((x) => x.durs);
  const hits = items.reduce((a, i) => a + i.hits, 0),
    errors = items.reduce((a, i) => a + i.errors, 0);
  const col = (k) => Array.from({ length: 24 }, (_, i) => items.reduce((a, x) => a + (x[k][i] ?? 0), 0));
  return {
    range: { from_ms: from, to_ms: to },
    step_ms: step,
    totals: {
      services: items.filter((i) => i.kind === 'service').length,
      functions: items.filter((i) => i.kind === 'function').length,
      hits,
      errors,
      p50_ns: p(all, 0.5),
      p95_ns: p(all, 0.95),
      p99_ns: p(all, 0.99),
      hits_spark: col('hits_spark'),
      errors_spark: col('errors_spark'),
      p95_spark: Array.from({ length: 24 }, (_, i) =>
        p(
          [...by.values()].flatMap((x) => x.b[i]),
          0.95,
        ),
      ),
    },
    prev: items.length
      ? {
          hits: Math.round(hits * 0.97),
          errors: Math.round(errors * 0.6),
          p95_ns: Math.round((p(all, 0.95) ?? 0) * 0.98),
        }
      : null,
    items,
    alerts: monitors.flatMap((m) =>
      Object.values(m.state.groups)
        .filter((g) => ['Alert', 'Warn', 'No Data'].includes(g.status))
        .slice(0, 2)
        .map((g) => ({
          monitor_id: m.id,
          name: m.name.replace('{{service.name}}', g.name.replace('service:', '')),
          state: g.status,
          group: g.name,
          since_ms: NOW - 50 * 6e4,
          value: g.status === 'No Data' ? null : 0.081,
          threshold: 0.05,
        })),
    ),
  };
}

function timeseries(attrs) {
  const { from, to } = attrs;
  const step = LADDER.find((s) => (to - from) / s <= 300) ?? 864e5;
  const times = [];
  for (let x = Math.ceil(from / step) * step; x <= to; x += step) times.push(x);
  const series = [],
    values = [];
  const outs = attrs.formulas?.length ? attrs.formulas.map((f) => f.formula) : attrs.queries.map((q) => q.name);
  outs.forEach((f, qi) => {
    const q = attrs.queries.find((x) => new RegExp(`\\b${x.name}\\b`).test(f));
    if (!q) return;
    const by =
      /by\s*\{([^}]*)\}/
        .exec(q.query)?.[1]
        ?.split(',')
        .map((x) => x.trim())
        .filter(Boolean) ?? [];
    const metric = /([a-z][\w.]*)\{/i.exec(q.query)?.[1] ?? '';
    if (!METRICS[metric]) return;
    const groups = by.length ? (TAG_VALUES[by[0]] ?? ['N/A']) : [null];
    groups.forEach((g, gi) => {
      let seed = 7 + gi;
      for (const c of metric + (g ?? '')) seed = (seed * 31 + c.charCodeAt(0)) | 0;
      const base = 20 + (Math.abs(seed) % 180),
        r = rng(seed);
      series.push({ group_tags: g === null ? [] : [`${by[0]}:${g}`], query_index: qi, unit: null });
      values.push(
        times.map((x, i) =>
          r() > 0.995
            ? null
            : base *
                (1 + 0.3 * Math.sin(x / 7e5 + gi) + 0.15 * (r() - 0.5) + (gi === 0 && x > NOW - 40 * 6e4 ? 1.4 : 0)) +
              (i % 41 === 0 ? base * 0.4 : 0),
        ),
      );
    });
  });
  return {
    data: { id: '0', type: 'timeseries_response', attributes: { series, times: series.length ? times : [], values } },
  };
}

function monitorState(m, u) {
  const from = bound(u.get('from'), Date.now() - 36e5),
    to = bound(u.get('to'), Date.now());
  const step = Math.max(60000, Math.ceil((to - from) / 240 / 60000) * 60000);
  const times = [];
  for (let x = Math.ceil(from / step) * step; x <= to; x += step) times.push(x);
  const th = m.options.thresholds;
  const groups = Object.values(m.state.groups).map((g, i) => ({
    group: g.name,
    state: g.status,
    since_ms: g.status === 'OK' ? NOW - 864e5 * (1 + i) : NOW - (50 - i * 9) * 6e4,
    value:
      g.status === 'Alert'
        ? 0.084 - i * 0.012
        : g.status === 'Warn'
          ? 0.034
          : g.status === 'OK'
            ? 0.012 / (1 + i)
            : null,
    evaluated_at_ms: to - 20000,
    notified_at_ms: g.status === 'OK' ? null : NOW - 50 * 6e4,
  }));
  const series = groups.slice(0, 24).map((g, i) => {
    const r = rng(90 + i);
    const vals = times.map((x) =>
      g.state === 'No Data'
        ? null
        : g.since_ms < x && g.state !== 'OK'
          ? Math.min(g.value, 0.014 + ((x - g.since_ms) / 6e5) * 0.1) + (r() - 0.5) * 0.004
          : 0.009 + 0.003 * Math.sin(x / 9e5 + i) + r() * 0.003,
    );
    return {
      group: g.group,
      values: vals,
      states: vals.map((v) => (v === null ? 'N' : v > th.critical ? 'A' : v > th.warning ? 'W' : 'O')).join(''),
    };
  });
  const sent = (id, target, at, state = 'sent', attempts = 1, error = null) => ({
    id,
    target,
    state,
    attempts,
    at_ms: at,
    error,
  });
  const tr = groups
    .filter((g) => g.state !== 'OK')
    .map((g, i) => ({
      at_ms: g.since_ms,
      group: g.group,
      from: 'OK',
      to: g.state,
      value: g.value,
      messages:
        g.state === 'No Data'
          ? []
          : [
              sent('a' + i, '@webhook-ops', g.since_ms + 500),
              sent(
                'b' + i,
                '@slack-search',
                g.since_ms + 700,
                i === 1 ? 'pending' : 'sent',
                i === 1 ? 3 : 1,
                i === 1 ? '503 from hooks.example.com' : null,
              ),
            ],
    }));
  return {
    range: { from_ms: from, to_ms: to },
    monitor_id: m.id,
    overall_state: m.overall_state,
    evaluated_at_ms: to - 20000,
    next_at_ms: Date.now() + 37000,
    window_s: 300,
    delay_s: 0,
    comparator: '>',
    thresholds: {
      critical: th.critical,
      warning: th.warning,
      critical_recovery: th.critical_recovery,
      warning_recovery: null,
    },
    groups,
    evaluations: { times, series },
    transitions: tr.sort((a, b) => b.at_ms - a.at_ms),
  };
}

function spanDetail(t, s) {
  const tags = {
    env: t.env,
    version: '41',
    language: 'python',
    component: s.type || 'internal',
    'span.kind': s.type === 'db' || s.type === 'http' ? 'client' : 'server',
    runtime_id: '5b1e7c0241d94c1f9a3e',
    functionname: s.service,
  };
  if (s.type === 'db')
    Object.assign(tags, {
      'aws.operation': s.name.split('.').pop(),
      'aws.region': 'ap-northeast-1',
      tablename: s.resource.split(' ')[0],
      'db.statement': `SELECT * FROM ${s.resource.split(' ')[0]}\nWHERE status = 'PENDING'`,
      'retry.attempts': '0',
    });
  if (s === t.spans[0])
    Object.assign(tags, {
      'http.method': 'GET',
      'http.url': 'https://api.example.com/search?q=winter+boots',
      'http.status_code': t.status,
      'http.useragent': 'Mozilla/5.0 (X11; Linux x86_64)',
    });
  if (s.flags & 1)
    Object.assign(tags, {
      'error.type': 'ConditionalCheckFailedException',
      'error.message': 'version 118 != 119',
      'error.stack':
        'Traceback (most recent call last):\n  File "handler.py", line 58, in create_item\n    table.put_item(Item=item)\n  File "store.py", line 12, in put_item\n    raise ConditionalCheckFailedException()',
    });
  const h = (x) => BigInt(x).toString(16).padStart(16, '0');
  return {
    span: {
      trace_id: t.id,
      span_id: h(s.id),
      parent_id: h(s.parent),
      service: s.service,
      name: s.name,
      resource: s.resource,
      type: s.type,
      start_ns: String(BigInt(t.start) * 1000000n + BigInt(Math.round(s.start))),
      duration_ns: Math.round(s.dur),
      error: s.flags & 1,
      env: t.env,
      version: '41',
      host: 'ip-10-0-0-12',
    },
    tags,
    metrics: { _sampling_priority_v1: 1, '_dd.measured': 1, consumed_rcu: 512.5, scanned_count: 5480 },
    meta_struct: {},
    links:
      s.name === 'queue'
        ? [{ trace_id: traces[1].id, span_id: h(traces[1].spans[0].id), attributes: { 'dd.kind': 'span-pointer' } }]
        : [],
    events:
      s.flags & 1
        ? [
            {
              name: 'exception',
              time_ns: String(BigInt(t.start) * 1000000n + BigInt(Math.round(s.start + s.dur))),
              attributes: { 'exception.message': 'version 118 != 119' },
            },
          ]
        : [],
    baseline: {
      count: 18440,
      slower_than: s.dur > 5e8 ? 0.992 : 0.61,
      p50_ns: 21e6,
      p95_ns: 310e6,
      p99_ns: 702e6,
      window_ms: 864e5,
    },
  };
}

const big = new Map();
function traceOf(id) {
  const m = /^0*b16b16b(\d*)$/.exec(id);
  if (m) {
    const n = Number(m[1] || 100000);
    if (!big.has(n)) big.set(n, bigTrace(n));
    return big.get(n);
  }
  return traces.find((t) => t.id === id || t.id.slice(16) === id || BigInt('0x' + t.id.slice(16)).toString() === id);
}

function setup() {
  const kinds = ['traces', 'logs', 'metrics', 'dogstatsd', 'distributions', 'checks', 'events', 'stats', 'telemetry'];
  const live = Math.floor((Date.now() - started) / 1000);
  const got = empty
    ? {}
    : {
        traces: [40 + live, 'nodejs 5.31.0', ['orders-api', 'search-service']],
        logs: [412 + live * 3, 'python-requests', ['booking-create']],
        dogstatsd: [96 + live, 'hot-shots', []],
        stats: [61, 'nodejs 5.31.0', []],
        telemetry: [4, 'nodejs 5.31.0', []],
      };
  return {
    now_ms: Date.now(),
    public_url: 'http://127.0.0.1:8080',
    endpoints: { api: '127.0.0.1:8080', agent: '127.0.0.1:8126', dogstatsd: '127.0.0.1:8125' },
    keys: [
      {
        kind: 'api',
        name: 'default',
        masked: '••••8f2c',
        value: empty ? '0f1e2d3c4b5a69788796a5b4c3d28f2c' : null,
        created_ms: NOW - 22 * 6e4,
      },
      { kind: 'application', name: 'default', masked: '••••11d0', value: null, created_ms: NOW - 22 * 6e4 },
    ],
    received: kinds.map((k) => ({
      kind: k,
      client: got[k]?.[1] ?? '',
      count: got[k]?.[0] ?? 0,
      first_ms: got[k] ? started - 6e4 : null,
      last_ms: got[k] ? Date.now() - 3000 : null,
      services: got[k]?.[2] ?? [],
      last_error: k === 'metrics' ? { status: 403, text: 'API key is wrong', at_ms: NOW - 6e4 } : null,
    })),
  };
}

async function api(req, u, body) {
  const p = u.pathname,
    g = u.searchParams;
  const range = () => [bound(g.get('from'), Date.now() - 9e5), bound(g.get('to'), Date.now())];
  if (p === '/api/yagura/v1/status')
    return {
      now_ms: Date.now(),
      version: '0.1.0',
      uptime_s: 512,
      ready: true,
      ingest: empty
        ? { spans_per_s: 0, logs_per_s: 0, points_per_s: 0, rejected_per_s: 0 }
        : { spans_per_s: 812.4, logs_per_s: 120, points_per_s: 88.1, rejected_per_s: 0 },
      lag_ms: 120,
      memory: { used_bytes: 48234496, limit_bytes: 1073741824 },
      disk: { data_bytes: 73400320, free_bytes: 5e10, total_bytes: 1e11 },
      monitors: {
        alert: monitors.filter((m) => m.overall_state === 'Alert').length,
        warn: monitors.filter((m) => m.overall_state === 'Warn').length,
        no_data: monitors.filter((m) => m.overall_state === 'No Data').length,
        ok: monitors.filter((m) => m.overall_state === 'OK').length,
        muted: 0,
      },
    };
  if (p === '/api/yagura/v1/setup') return setup();
  if (p === '/api/yagura/v1/fleet') return fleet(g);
  if (p === '/api/yagura/v1/traces/search') return searchTraces(body);
  let m = /^\/api\/yagura\/v1\/traces\/(\w+)$/.exec(p);
  if (m) {
    const t = traceOf(m[1]);
    if (!t) throw new Bad(404, 'no such trace');
    return Buffer.from(encodeTrace(t.id, BigInt(t.start) * 1000000n, t.spans, t.env));
  }
  m = /^\/api\/yagura\/v1\/traces\/(\w+)\/spans\/(\w+)$/.exec(p);
  if (m) {
    const t = traceOf(m[1]);
    const s = t?.spans.find((x) => BigInt(x.id).toString(16).padStart(16, '0') === m[2]);
    if (!s) throw new Bad(404, 'no such span');
    return spanDetail(t, s);
  }
  m = /^\/api\/yagura\/v1\/facets\/(\w+)$/.exec(p);
  if (m) {
    const [from, to] = range();
    const { total, count } = facets(m[1], g.get('q') ?? '', from, to, g.get('metric'));
    return {
      range: { from_ms: from, to_ms: to },
      total,
      partial: false,
      facets: [...count].map(([key, vals]) => {
        const list = [...vals].sort((a, b) => b[1] - a[1]);
        return {
          key,
          type: 'string',
          count: list.reduce((n, x) => n + x[1], 0),
          values: list.slice(0, 10).map(([value, c]) => ({ value, count: c })),
          more: list.length > 10,
        };
      }),
    };
  }
  m = /^\/api\/yagura\/v1\/facets\/(\w+)\/(.+)\/values$/.exec(p);
  if (m) {
    const [from, to] = range();
    const key = decodeURIComponent(m[2]),
      pre = (g.get('prefix') ?? '').toLowerCase();
    const list = [...(facets(m[1], g.get('q') ?? '', from, to, g.get('metric')).count.get(key) ?? [])]
      .filter(([v]) => v.toLowerCase().startsWith(pre))
      .sort((a, b) => b[1] - a[1]);
    const limit = Number(g.get('limit') ?? 20);
    return {
      range: { from_ms: from, to_ms: to },
      key,
      values: list.slice(0, limit).map(([value, count]) => ({ value, count })),
      more: list.length > limit,
    };
  }
  m = /^\/api\/yagura\/v1\/monitors\/(\d+)\/state$/.exec(p);
  if (m) {
    const x = monitors.find((y) => y.id === Number(m[1]));
    if (!x) throw new Bad(404, 'Monitor not found');
    return monitorState(x, g);
  }
  if (p === '/api/v1/monitor') return monitors;
  m = /^\/api\/v1\/monitor\/(\d+)$/.exec(p);
  if (m) {
    const x = monitors.find((y) => y.id === Number(m[1]));
    if (!x) throw new Bad(404, 'Monitor not found');
    return x;
  }
  if (p === '/api/v1/metrics') return { from: g.get('from'), metrics: empty ? [] : Object.keys(METRICS).sort() };
  m = /^\/api\/v1\/metrics\/([\w.]+)$/.exec(p);
  if (m)
    return {
      type: /latency|duration|time/.test(m[1]) ? 'distribution' : /bytes|used|depth/.test(m[1]) ? 'gauge' : 'count',
      unit: null,
      per_unit: null,
    };
  if (p === '/api/v1/search') {
    const w = (g.get('q') ?? '').replace(/^metrics:/, '');
    return {
      results: {
        metrics: Object.keys(METRICS)
          .filter((x) => x.includes(w))
          .sort(),
        hosts: [],
      },
    };
  }
  if (p === '/api/v2/query/timeseries') return timeseries(body.data.attributes);
  if (p === '/api/v2/spans/events/search') {
    const a = body.data.attributes,
      from = bound(a.filter.from, 0),
      to = bound(a.filter.to, Date.now()),
      match = matcher(a.filter.query);
    const hit = traces
      .filter((t) => t.start >= from && t.start < to)
      .flatMap((t) => t.spans.filter((s) => match(spanGet(t, s), `${s.name} ${s.resource}`)).map((s) => [t, s]))
      .sort((x, y) => y[0].start + y[1].start / 1e6 - x[0].start - x[1].start / 1e6);
    const at = Number(a.page?.cursor ?? 0),
      limit = a.page?.limit ?? 10;
    return {
      data: hit.slice(at, at + limit).map(([t, s]) => ({
        id: `${t.id}${s.id}`,
        type: 'spans',
        attributes: {
          start_timestamp: new Date(t.start + s.start / 1e6).toISOString(),
          service: s.service,
          operation_name: s.name,
          resource_name: s.resource,
          env: t.env,
          status: s.flags & 1 ? 'error' : 'ok',
          type: s.type,
          trace_id: t.id,
          span_id: String(s.id),
          custom: { duration: s.dur },
        },
      })),
      meta: at + limit < hit.length ? { page: { after: String(at + limit) } } : {},
    };
  }
  if (p === '/api/v2/logs/events/search' || p === '/api/v2/logs/analytics/aggregate') {
    const f = body.filter ?? {},
      from = bound(f.from, Date.now() - 9e5),
      to = bound(f.to, Date.now());
    const q = f.query ?? '*',
      match = matcher(q);
    const hit = logs.filter((l) => l.at >= from && l.at < to && match(logGet(l), l.message));
    if (p.endsWith('search')) {
      if (body.sort === 'timestamp') hit.reverse();
      const at = body.page?.cursor ? Number(body.page.cursor) : 0,
        limit = body.page?.limit ?? 10;
      return {
        data: hit.slice(at, at + limit).map((l) => ({
          id: l.id,
          type: 'log',
          attributes: {
            timestamp: new Date(l.at).toISOString(),
            status: l.status,
            service: l.service,
            host: l.host,
            message: l.message,
            tags: l.tags,
            attributes: l.attributes,
          },
        })),
        meta: { elapsed: 4, ...(at + limit < hit.length ? { page: { after: String(at + limit) } } : {}) },
      };
    }
    if (!body.group_by) return { data: { buckets: [{ by: {}, computes: { c0: hit.length } }] } };
    const iv = body.compute[0].interval,
      step = Number(iv.slice(0, -1)) * { s: 1e3, m: 6e4, h: 36e5, d: 864e5, w: 6048e5 }[iv.slice(-1)];
    const by = new Map();
    for (const l of hit) {
      const x = by.get(l.status) ?? new Map();
      const t = Math.floor(l.at / step) * step;
      x.set(t, (x.get(t) ?? 0) + 1);
      by.set(l.status, x);
    }
    return {
      data: {
        buckets: [...by].map(([status, x]) => ({
          by: { status },
          computes: {
            c0: [...x].sort((a, b) => a[0] - b[0]).map(([t, value]) => ({ time: new Date(t).toISOString(), value })),
          },
        })),
      },
      meta: { elapsed: 5, status: 'done' },
    };
  }
  throw new Bad(404, 'Not found');
}

function page(req, res, u) {
  const f = files().get(u.pathname);
  const common = {
    'content-security-policy': CSP,
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'same-origin',
  };
  if (f && u.pathname !== '/index.html') {
    res.writeHead(200, {
      ...common,
      'content-type': f.type,
      'content-encoding': 'gzip',
      'cache-control': 'public, max-age=31536000, immutable',
      etag: `"${f.etag}"`,
    });
    return res.end(readFileSync(join(dist, f.file)));
  }
  if (u.pathname.startsWith('/assets/')) {
    res.writeHead(404, common);
    return res.end();
  }
  const boot = JSON.stringify({
    version: '0.1.0',
    session: true,
    now_ms: Date.now(),
    public_url: 'http://127.0.0.1:8080',
    envs: empty ? [] : ['prod', 'staging'],
    has_data: !empty,
  }).replace(/</g, '\\u003c');
  const html = readFileSync(join(dist, 'index.html'), 'utf8').replace('id="boot">{}<', () => `id="boot">${boot}<`);
  res.writeHead(200, {
    ...common,
    'content-type': 'text/html; charset=utf-8',
    'cache-control': 'no-store',
    'set-cookie': 'yagura_session=dev; HttpOnly; SameSite=Strict; Path=/',
  });
  return res.end(html);
}

/** Hands one call to the real server. */
function forward(req, res) {
  const headers = {
    ...req.headers,
    host: upstream.host,
    'dd-api-key': process.env.DD_API_KEY ?? '',
    'dd-application-key': process.env.DD_APP_KEY ?? '',
  };
  delete headers.origin;
  const up = request(
    { host: upstream.hostname, port: upstream.port, method: req.method, path: req.url, headers },
    (r) => {
      res.writeHead(r.statusCode, r.headers);
      r.pipe(res);
    },
  );
  up.on('error', (e) => {
    res.writeHead(502);
    res.end(e.message);
  });
  req.pipe(up);
}

const server = createServer(async (req, res) => {
  const u = new URL(req.url, 'http://x');
  if (!u.pathname.startsWith('/api/')) return page(req, res, u);
  if (upstream) return forward(req, res);
  try {
    const chunks = [];
    for await (const c of req) chunks.push(c);
    const text = Buffer.concat(chunks).toString();
    const delay = Number(u.searchParams.get('delay') ?? process.env.MOCK_DELAY ?? 0);
    if (delay) await new Promise((r) => setTimeout(r, delay));
    if (process.env.MOCK_FAIL && u.pathname.includes(process.env.MOCK_FAIL))
      throw new Bad(503, 'recovery is still running');
    if (req.method !== 'GET' && req.headers.origin && new URL(req.headers.origin).host !== req.headers.host)
      throw new Bad(403, 'wrong Origin');
    const out = await api(req, u, text ? JSON.parse(text) : {});
    if (Buffer.isBuffer(out)) {
      res.writeHead(200, { 'content-type': 'application/vnd.yagura.trace' });
      return res.end(out);
    }
    res.writeHead(200, { 'content-type': 'application/json' });
    return res.end(JSON.stringify(out));
  } catch (e) {
    res.writeHead(e.status ?? 500, { 'content-type': 'application/json' });
    return res.end(
      JSON.stringify({ errors: [{ title: 'Error', detail: e.message, column: e.column }], request_id: '5b1e7c02' }),
    );
  }
});
server.listen(port, '127.0.0.1', () => console.log(`mock page on http://127.0.0.1:${server.address().port}/`));
