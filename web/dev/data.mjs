// SPDX-License-Identifier: Apache-2.0
// Invented, repeatable data for the development server: traces, logs, metrics and monitors of a small fleet.

const rng = (seed) => () => {
  seed = (seed + 0x6d2b79f5) | 0;
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
};
const hex = (r, n) => Array.from({ length: n }, () => Math.floor(r() * 16).toString(16)).join('');
const pick = (r, list) => list[Math.floor(r() * list.length)];

export const NOW = Date.now();
const HOUR = 36e5;
const MS = 1e6;

/** The trace of the mock-up: cold start, failing call with retry, repeated reads, slow query, queue. */
function coldTrace(id, start, r, scale = 1) {
  const spans = [];
  let n = BigInt('0x' + hex(r, 14));
  const add = (parent, service, name, resource, a, b, type, flags = 0) => {
    n += 1n;
    spans.push({
      id: n,
      parent,
      service,
      name,
      resource,
      start: a * MS * scale,
      dur: (b - a) * MS * scale,
      type,
      flags,
    });
    return n;
  };
  const gw = add(0n, 'api-gateway', 'http.request', 'GET /search', 0, 3420, 'web');
  const fn = add(gw, 'search-service', 'aws.lambda', 'search-service', 1846, 3412, 'serverless', 2);
  const fl = add(fn, 'search-service', 'flask.request', 'GET /search', 1850, 3410, 'web');
  const au = add(fl, 'search-service', 'auth.verify', 'Bearer', 1853, 1880, '');
  add(au, 'identity', 'jwt.decode', 'RS256', 1855, 1860, '');
  add(au, 'aws.dynamodb', 'dynamodb.getItem', 'Sessions', 1861, 1878, 'db', 256);
  add(fl, 'opensearch', 'http.request', 'POST /items/_search', 1882, 1930, 'http', 512);
  const c1 = add(fl, 'search-service', 'http.request', 'GET catalog-read /availability', 1932, 1958, 'http', 513);
  add(c1, 'catalog-read', 'aws.lambda', 'catalog-read', 1936, 1955, 'serverless', 1);
  const c2 = add(fl, 'search-service', 'http.request', 'GET catalog-read /availability', 1960, 1990, 'http', 512);
  add(c2, 'catalog-read', 'aws.lambda', 'catalog-read', 1964, 1988, 'serverless');
  const hy = add(fl, 'search-service', 'hydrate_orders', 'handler.py:88', 1992, 2596, '');
  for (let i = 0; i < 137; i++)
    add(hy, 'aws.dynamodb', 'dynamodb.getItem', 'Orders', 1994 + i * 4.38, 1994 + i * 4.38 + 3 + r() * 1.3, 'db', 256);
  add(fl, 'aws.dynamodb', 'dynamodb.query', 'Orders · status-idx', 2600, 3396, 'db', 256);
  add(fl, 'search-service', 'rank.score', 'rank.py:30', 3397, 3404, '');
  const rj = add(fl, 'search-service', 'render.json', 'SearchResult', 3404, 3410, '');
  for (let i = 0; i < 9; i++)
    add(rj, 'search-service', `render.part${i}`, 'SearchResult', 3404 + i * 0.6, 3404.5 + i * 0.6, '');
  const sq = add(fl, 'aws.sqs', 'sqs.send', 'reindex-q', 2590, 2602, 'queue');
  const qu = add(sq, 'aws.sqs', 'queue', 'reindex-q', 2602, 3790, 'queue', 12);
  const iv = add(qu, 'inventory-fn', 'aws.lambda', 'inventory-fn', 3790, 4010, 'serverless');
  add(iv, 'aws.dynamodb', 'dynamodb.updateItem', 'SearchStats', 3800, 3860, 'db', 256);
  add(iv, 'inventory-fn', 's3.putObject', 'index-delta/2026/02/03/14/7f3a0c11d2.parquet', 3866, 3996, 'http', 512);
  add(iv, 'inventory-fn', 'serialize', '', 3860, 3866, '');
  return { id, start, env: 'prod', cold: true, coldNs: 1840 * MS * scale, status: '200', spans };
}

const SHAPES = [
  ['orders-api', 'express.request', ['GET /orders/:id', 'POST /orders', 'GET /orders'], 'aws.dynamodb', 40, 'prod'],
  ['payment-gateway', 'express.request', ['POST /authorize', 'POST /capture'], 'stripe.example.com', 120, 'prod'],
  ['catalog-read', 'aws.lambda', ['catalog-read'], 'aws.dynamodb', 22, 'prod'],
  ['booking-create', 'aws.lambda', ['booking-create'], 'aws.dynamodb', 160, 'prod'],
  ['identity', 'flask.request', ['POST /token', 'GET /userinfo'], 'redis', 14, 'prod'],
  ['search-service', 'aws.lambda', ['GET /search', 'GET /search/suggest'], 'opensearch', 150, 'prod'],
  ['image-resize-worker-thumbnails-eu', 'aws.lambda', ['image-resize'], 'aws.s3', 480, 'staging'],
];

function plainTrace(id, start, r, shape) {
  const [service, name, resources, dep, base, env] = shape;
  let n = BigInt('0x' + hex(r, 14));
  const dur = base * (0.5 + r() * r() * 4) * MS * (r() > 0.985 ? 9 : 1);
  const err = r() > (service === 'payment-gateway' ? 0.93 : 0.992);
  const spans = [];
  const add = (parent, svc, nm, res, a, d, type, flags = 0) => {
    n += 1n;
    spans.push({ id: n, parent, service: svc, name: nm, resource: res, start: a, dur: d, type, flags });
    return n;
  };
  const root = add(
    0n,
    service,
    name,
    pick(r, resources),
    0,
    dur,
    name === 'aws.lambda' ? 'serverless' : 'web',
    err ? 1 : 0,
  );
  const mid = add(root, service, 'handler', `${service}.handle`, dur * 0.05, dur * 0.9, '');
  const k = 1 + Math.floor(r() * 6);
  for (let i = 0; i < k; i++)
    add(
      mid,
      dep,
      dep.startsWith('aws') ? `${dep}.${pick(r, ['getItem', 'query', 'putItem'])}` : 'http.request',
      pick(r, ['Orders', 'Sessions', 'Users', 'Items']),
      dur * (0.1 + (0.75 * i) / k),
      (dur * 0.6) / k,
      'db',
      dep.startsWith('aws') ? 256 : 512,
    );
  if (err) spans[spans.length - 1].flags |= 1;
  return { id, start, env, cold: false, coldNs: null, status: err ? '502' : '200', spans };
}

export function makeTraces() {
  const r = rng(11);
  const out = [coldTrace('65d1a3f000000000a1b2c3d49c42be17', NOW - 52 * 6e4, r)];
  for (let i = 0; i < 40; i++) {
    const one = coldTrace(hex(r, 32), NOW - Math.floor(r() * 50) * 6e4 - 12345, r, 0.4 + r() * 0.7);
    out.push(one);
  }
  for (let i = 0; i < 1600; i++)
    out.push(plainTrace(hex(r, 32), NOW - Math.floor(r() * HOUR * 1.2), r, pick(r, SHAPES)));
  // one with a lost parent, and one that is large
  const lost = plainTrace('000000000000000000000000000010c7', NOW - 3 * 6e4, r, SHAPES[0]);
  lost.spans.push({
    id: 77n,
    parent: 12345n,
    service: 'inventory-fn',
    name: 'aws.lambda',
    resource: 'inventory-fn',
    start: 5e6,
    dur: 9e6,
    type: 'serverless',
    flags: 0,
  });
  out.push(lost);
  return out;
}

/** A trace of n spans, for speed. */
export function bigTrace(n) {
  const r = rng(5);
  const spans = [
    { id: 1n, parent: 0n, service: 'batch', name: 'job', resource: 'reconcile', start: 0, dur: 60e9, type: '' },
  ];
  for (let i = 2; i <= n; i++) {
    const p = spans[Math.max(0, Math.floor((i - 2) / 4))];
    spans.push({
      id: BigInt(i),
      parent: p.id,
      service: `svc-${i % 11}`,
      name: pick(r, ['getItem', 'http.request', 'compute', 'sqs.send']),
      resource: `res-${i % 97}`,
      start: p.start + r() * p.dur * 0.4,
      dur: p.dur * 0.5 * r(),
      type: 'db',
      flags: r() > 0.999 ? 1 : 0,
    });
  }
  return {
    id: '0000000000000000000000000b16b16b',
    start: NOW - 6e4,
    env: 'prod',
    cold: false,
    coldNs: null,
    status: '200',
    spans,
  };
}

const TEMPLATES = [
  [
    'info',
    (r) =>
      `booking B-${70000 + Math.floor(r() * 999)} confirmed user=U${Math.floor(r() * 9000)} ms=${Math.floor(100 + r() * 200)}`,
  ],
  [
    'info',
    (r) =>
      `create booking user=U${Math.floor(r() * 9000)} plan=${pick(r, ['standard', 'flex', 'group'])} nights=${1 + Math.floor(r() * 5)}`,
  ],
  ['info', () => '{"event":"booking.quote","user":"U8841","total":48200,"currency":"JPY","items":3}'],
  ['info', (r) => `response 200 bytes=${Math.floor(r() * 90000)} ms=${Math.floor(r() * 300)}`],
  ['warn', (r) => `PutItem Bookings retry 1/3 ConditionalCheckFailed booking B-${70000 + Math.floor(r() * 999)}`],
  ['warn', (r) => `slow downstream payment-gateway ${1000 + Math.floor(r() * 900)} ms`],
  [
    'error',
    (r) =>
      `ConnectionTimeout: partner-batch.example.com after 3000 ms, booking B-${70000 + Math.floor(r() * 999)} parked`,
  ],
];

export function makeLogs(traces) {
  const r = rng(21);
  const logs = [];
  const add = (at, status, service, message, attrs, env = 'prod') =>
    logs.push({
      id: `AgAAA${hex(r, 14)}`,
      at,
      status,
      service,
      message,
      host: `ip-10-0-${Math.floor(r() * 4)}-${Math.floor(r() * 200)}`,
      tags: [`env:${env}`, `service:${service}`, 'version:88', 'team:booking', 'region:ap-northeast-1'],
      attributes: attrs,
    });
  for (let i = 0; i < 6000; i++) {
    const x = r();
    const tpl =
      x > 0.995 ? TEMPLATES[6] : x > 0.97 ? TEMPLATES[4 + Math.floor(r() * 2)] : TEMPLATES[Math.floor(r() * 4)];
    const tr = pick(r, traces);
    const sp = tr.spans[0];
    const hot = i < 700;
    add(
      hot ? NOW - 40 * 6e4 + Math.floor(r() * 12 * 6e4) : NOW - Math.floor(r() * HOUR * 1.2),
      hot && x > 0.7 ? pick(r, ['warn', 'warn', 'error']) : tpl[0],
      hot
        ? 'booking-create'
        : pick(r, ['booking-create', 'booking-get', 'orders-api', 'search-service', 'notify-email']),
      hot && x > 0.7 ? TEMPLATES[x > 0.9 ? 6 : 4][1](r) : tpl[1](r),
      {
        http: { status_code: x > 0.99 ? 502 : 200, method: 'POST' },
        user_id: `U${Math.floor(r() * 9000)}`,
        handler: pick(r, ['create', 'confirm', 'cancel']),
        trace_id: tr.id,
        span_id: sp.id.toString(),
        lambda: { request_id: `${hex(r, 8)}-${hex(r, 4)}`, cold_start: tr.cold },
      },
    );
  }
  const t0 = traces[0];
  const find = (name) => t0.spans.find((s) => s.resource.startsWith(name) || s.name === name) ?? t0.spans[0];
  for (const [ms, st, svc, msg, at] of [
    [
      1846,
      'info',
      'search-service',
      'INIT_START Runtime Version: python:3.12.v41 · imported numpy, sklearn in 1.31 s',
      'aws.lambda',
    ],
    [1852, 'info', 'search-service', 'request q="winter boots" user_id=U123 page=1', 'flask.request'],
    [1930, 'info', 'opensearch', 'opensearch took=41 hits=1204 shards=5/5', 'POST /items'],
    [1955, 'error', 'catalog-read', 'ConditionalCheckFailedException: version 118 != 119', 'catalog-read'],
    [1958, 'warn', 'search-service', 'GET catalog-read /availability → 502, retrying (1/2)', 'GET catalog-read'],
    [2596, 'info', 'search-service', 'hydrated 137 orders in 604 ms', 'hydrate_orders'],
    [3408, 'info', 'search-service', 'response 200 bytes=48212 ms=1556', 'flask.request'],
    [3796, 'info', 'inventory-fn', 'reindex batch size=1 lag=1.19s', 'inventory-fn'],
  ])
    add(t0.start + ms, st, svc, msg, { trace_id: t0.id, span_id: find(at).id.toString(), user_id: 'U123' });
  return logs.sort((a, b) => b.at - a.at);
}

export const METRICS = {
  'aws.lambda.invocations': ['service', 'env', 'region'],
  'aws.lambda.errors': ['service', 'env', 'region'],
  'aws.lambda.duration': ['service', 'env'],
  'booking.created': ['plan', 'env', 'service'],
  'booking.latency': ['plan', 'env'],
  'queue.depth': ['queue', 'env'],
  'http.server.requests': ['service', 'route', 'code', 'env'],
  'runtime.node.mem.heap_used': ['service', 'host', 'env'],
  'yagura.rows.in': ['track'],
  'yagura.bytes.in': ['track'],
  'yagura.query.time': ['call'],
  'yagura.memory.used': ['room'],
  'yagura.queue.depth': ['queue'],
};
export const TAG_VALUES = {
  service: ['orders-api', 'search-service', 'payment-gateway', 'booking-create', 'catalog-read'],
  env: ['prod', 'staging'],
  region: ['ap-northeast-1', 'us-east-1'],
  plan: ['standard', 'flex', 'group'],
  queue: ['reindex-q', 'mail-q'],
  route: ['/search', '/orders/:id', '/authorize'],
  code: ['200', '404', '502'],
  host: ['ip-10-0-0-12', 'ip-10-0-1-77', 'ip-10-0-2-5'],
  track: ['logs', 'spans', 'metrics'],
  call: ['logs.search', 'traces.search', 'query'],
  room: ['ingest', 'query', 'cache'],
};

export function makeMonitors() {
  const q =
    'default_zero(sum:aws.lambda.errors{env:prod} by {service}) / default_zero(sum:aws.lambda.invocations{env:prod} by {service})';
  const m = (id, name, type, query, state, groups, minutes, tags = ['team:booking', 'terraform:true']) => ({
    id,
    name,
    type,
    query,
    message:
      '{{#is_alert}}{{service.name}} fails: {{value}} (limit {{threshold}}){{/is_alert}} @webhook-ops @slack-search',
    tags,
    priority: 2,
    overall_state: state,
    overall_state_modified: new Date(NOW - minutes * 6e4).toISOString(),
    created: new Date(NOW - 9 * 864e5).toISOString(),
    modified: new Date(NOW - 9 * 864e5).toISOString(),
    options: {
      thresholds: { critical: 0.05, warning: 0.03, critical_recovery: 0.02 },
      evaluation_delay: 0,
      renotify_interval: 60,
    },
    state: { groups: Object.fromEntries(groups.map(([n, s]) => [n, { name: n, status: s }])) },
  });
  const svc = [
    'search-service',
    'payment-gateway',
    'orders-api',
    'booking-create',
    'catalog-read',
    'identity',
    'inventory-fn',
    'notify-email',
    'image-resize',
    'partner-sync',
    'campaign',
    'auth',
    'pipeline',
    'rank',
    'render',
  ];
  return [
    m(
      12,
      '[prod] Lambda error rate high: {{service.name}}',
      'query alert',
      `avg(last_5m):${q} > 0.05`,
      'Alert',
      svc.map((s, i) => [`service:${s}`, i < 3 ? 'Alert' : i < 4 ? 'Warn' : 'OK']),
      50,
    ),
    m(
      13,
      'Connection timeouts to the partner',
      'log alert',
      'logs("service:booking-create ConnectionTimeout").index("*").rollup("count").by("service").last("5m") > 10',
      'Warn',
      [['service:booking-create', 'Warn']],
      12,
    ),
    m(
      14,
      'Queue depth of reindex-q',
      'metric alert',
      'max(last_10m):max:queue.depth{queue:reindex-q} > 1000',
      'OK',
      [['*', 'OK']],
      3000,
      ['team:search'],
    ),
    m(
      15,
      'Heartbeat of the nightly batch',
      'metric alert',
      'sum(last_1d):sum:batch.runs{env:prod}.as_count() < 1',
      'No Data',
      [['*', 'No Data']],
      400,
      [],
    ),
    m(
      16,
      'p95 of checkout',
      'metric alert',
      'avg(last_5m):p95:booking.latency{env:prod} by {plan} > 1.5',
      'OK',
      [
        ['plan:standard', 'OK'],
        ['plan:flex', 'OK'],
      ],
      9000,
      ['team:booking'],
    ),
  ];
}

export { rng };
