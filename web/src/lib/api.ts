// SPDX-License-Identifier: Apache-2.0
// All calls to the server, typed by docs/api.md, and the hook that pages read them with.
import { useEffect, useRef, useState } from 'preact/hooks';

export const Y = '/api/yagura/v1';

export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly requestId: string,
    readonly column: number | null,
  ) {
    super(message);
  }
}

interface ErrorBody {
  errors?: (string | { title?: string; detail?: string; column?: number })[];
  error?: string;
  request_id?: string;
}

async function refuse(r: Response): Promise<never> {
  let body: ErrorBody = {};
  try {
    body = (await r.json()) as ErrorBody;
  } catch {
    /* not JSON: the status says it */
  }
  const first = body.errors?.[0];
  const text = typeof first === 'string' ? first : (first?.detail ?? first?.title ?? body.error ?? r.statusText);
  throw new ApiError(
    r.status,
    text,
    body.request_id ?? r.headers.get('x-request-id') ?? '',
    typeof first === 'object' ? (first?.column ?? null) : null,
  );
}

async function call(path: string, init: RequestInit): Promise<Response> {
  const r = await fetch(path, { credentials: 'same-origin', ...init });
  return r.ok ? r : refuse(r);
}
export async function getJson<T>(path: string, signal?: AbortSignal): Promise<T> {
  return (await call(path, { signal })).json() as Promise<T>;
}
export async function postJson<T>(path: string, body: unknown, signal?: AbortSignal): Promise<T> {
  const headers = { 'content-type': 'application/json' };
  return (await call(path, { method: 'POST', body: JSON.stringify(body), headers, signal })).json() as Promise<T>;
}
export async function getBytes(path: string, signal?: AbortSignal): Promise<ArrayBuffer> {
  return (await call(path, { signal })).arrayBuffer();
}

/** Query string from defined values. */
export function qs(params: Record<string, string | number | null | undefined>): string {
  const u = new URLSearchParams();
  for (const [k, v] of Object.entries(params)) if (v !== null && v !== undefined && v !== '') u.set(k, String(v));
  const s = u.toString();
  return s ? '?' + s : '';
}

// ---- shapes of docs/api.md ----
export interface Range {
  from_ms: number;
  to_ms: number;
}
export interface Status {
  now_ms: number;
  version: string;
  uptime_s: number;
  ready: boolean;
  ingest: { spans_per_s: number; logs_per_s: number; points_per_s: number; rejected_per_s: number };
  lag_ms: number;
  memory: { used_bytes: number; limit_bytes: number };
  disk: { data_bytes: number; free_bytes: number; total_bytes: number };
  monitors: { alert: number; warn: number; no_data: number; ok: number; muted: number };
}
export interface Received {
  kind: string;
  client: string;
  count: number;
  first_ms: number | null;
  last_ms: number | null;
  services: string[];
  last_error: { status: number; text: string; at_ms: number } | null;
}
export interface SetupInfo {
  now_ms: number;
  public_url: string;
  endpoints: { api: string; agent: string; dogstatsd: string };
  keys: { kind: string; name: string; masked: string; value: string | null; created_ms: number }[];
  received: Received[];
}
export interface FleetItem {
  name: string;
  kind: 'service' | 'function';
  env: string;
  hits: number;
  errors: number;
  cold: number;
  p50_ns: number | null;
  p95_ns: number | null;
  p99_ns: number | null;
  last_ms: number;
  hits_spark: number[];
  errors_spark: number[];
  p95_spark: (number | null)[];
  prev?: { hits: number; errors: number; p95_ns: number | null } | null;
}
export interface FleetAlert {
  monitor_id: number;
  name: string;
  state: string;
  group: string;
  since_ms: number;
  value: number | null;
  threshold: number | null;
}
export interface Fleet {
  range: Range;
  step_ms: number;
  totals: {
    services: number;
    functions: number;
    hits: number;
    errors: number;
    p50_ns: number | null;
    p95_ns: number | null;
    p99_ns: number | null;
    hits_spark: number[];
    errors_spark: number[];
    p95_spark: (number | null)[];
  };
  prev?: { hits: number; errors: number; p95_ns: number | null } | null;
  items: FleetItem[];
  alerts: FleetAlert[];
}
export interface TraceRow {
  trace_id: string;
  start_ns: string;
  duration_ns: number;
  root: { service: string; name: string; resource: string; type: string; status_code?: string | null };
  env: string;
  span_count: number;
  error_count: number;
  cold?: boolean;
  cold_ns?: number | null;
  services: { name: string; spans: number; self_ns: number }[];
}
export interface Heat {
  start_ms: number;
  step_ms: number;
  cols: number;
  edges_ns: number[];
  counts: number[];
  errors?: number[];
}
export interface TraceSummary {
  count: number;
  errors: number;
  p50_ns: number;
  p75_ns: number;
  p90_ns: number;
  p95_ns: number;
  p99_ns: number;
  max_ns: number;
  heat: Heat;
}
export interface TraceSearch {
  range: Range;
  matched: number;
  partial: boolean;
  scanned: { rows: number; bytes: number };
  cursor: string | null;
  data: TraceRow[];
  summary?: TraceSummary;
}
export interface SpanDetail {
  span: {
    trace_id: string;
    span_id: string;
    parent_id: string;
    service: string;
    name: string;
    resource: string;
    type: string;
    start_ns: string;
    duration_ns: number;
    error: number;
    env?: string;
    version?: string;
    host?: string;
  };
  tags: Record<string, string>;
  metrics: Record<string, number | string>;
  meta_struct?: Record<string, unknown>;
  links?: { trace_id: string; span_id: string; attributes?: Record<string, string> }[];
  events?: { name: string; time_ns: string; attributes?: Record<string, unknown> }[];
  baseline?: {
    count: number;
    slower_than: number;
    p50_ns: number;
    p95_ns: number;
    p99_ns: number;
    window_ms: number;
  } | null;
}
export interface FacetValue {
  value: string;
  count: number;
}
export interface Facet {
  key: string;
  type: 'string' | 'number';
  count: number;
  values: FacetValue[];
  more: boolean;
  min?: number;
  max?: number;
}
export interface Facets {
  range: Range;
  total: number;
  partial: boolean;
  facets: Facet[];
}
export interface FacetValues {
  key: string;
  values: FacetValue[];
  more: boolean;
}
export interface MonitorState {
  range: Range;
  monitor_id: number;
  overall_state: string;
  evaluated_at_ms: number | null;
  next_at_ms: number | null;
  window_s: number;
  delay_s: number;
  comparator: string;
  thresholds: {
    critical: number | null;
    warning: number | null;
    critical_recovery: number | null;
    warning_recovery: number | null;
  };
  groups: {
    group: string;
    state: string;
    since_ms: number | null;
    value: number | null;
    evaluated_at_ms: number | null;
    notified_at_ms: number | null;
  }[];
  evaluations: { times: number[]; series: { group: string; values: (number | null)[]; states: string }[] };
  transitions: {
    at_ms: number;
    group: string;
    from: string;
    to: string;
    value: number | null;
    messages: {
      id: string;
      target: string;
      state: string;
      attempts: number;
      at_ms: number | null;
      error: string | null;
    }[];
  }[];
}
// ---- shapes of the public API ----
export interface LogEvent {
  id: string;
  attributes: {
    timestamp: string;
    status?: string;
    host?: string;
    service?: string;
    message?: string;
    tags?: string[];
    attributes?: Record<string, unknown>;
  };
}
export interface LogSearch {
  data: LogEvent[];
  meta?: { page?: { after?: string }; elapsed?: number };
}
export interface Aggregate {
  data: {
    buckets: {
      by: Record<string, string | number>;
      computes: Record<string, number | { time: string; value: number }[]>;
    }[];
  };
  meta?: { elapsed?: number };
}
export interface Monitor {
  id: number;
  name: string;
  type: string;
  query: string;
  message?: string;
  tags?: string[];
  priority?: number | null;
  overall_state?: string;
  overall_state_modified?: string;
  created?: string;
  modified?: string;
  options?: Record<string, unknown>;
  state?: { groups?: Record<string, { status?: string; name?: string; last_triggered_ts?: number }> };
}
export interface Timeseries {
  data: {
    attributes: {
      series: { group_tags: string[]; query_index: number; unit?: unknown }[];
      times: number[];
      values: (number | null)[][];
    };
  };
}

// ---- the hook ----
export interface Query<T> {
  data: T | undefined;
  error: Error | null;
  loading: boolean;
  stale: boolean;
  late: boolean;
  retry: () => void;
  elapsed: number | null;
}
const cache = new Map<string, unknown>();
const CACHE_MAX = 20;
function remember(key: string, v: unknown): void {
  cache.delete(key);
  cache.set(key, v);
  if (cache.size > CACHE_MAX) cache.delete(cache.keys().next().value as string);
}

/** A key without its last part, the refresh count: equal for the same view asked again. */
export function viewOf(key: string | null): string | null {
  return key === null ? null : key.replace(/\|\d+$/, '');
}

/**
 * Runs `fn` whenever `key` changes (null = nothing to ask). Old data stays while new loads (`stale`), a running call is cancelled when
 * the key changes; Back paints from a small cache and asks again. `late` turns true after 120 ms, when a skeleton may be shown.
 */
export function useQuery<T>(key: string | null, fn: (signal: AbortSignal) => Promise<T>): Query<T> {
  const [, tick] = useState(0);
  const [again, setAgain] = useState(0);
  const st = useRef<{
    key: string | null;
    data?: T;
    error: Error | null;
    loading: boolean;
    stale: boolean;
    late: boolean;
    elapsed: number | null;
  }>({ key: null, error: null, loading: false, stale: false, late: false, elapsed: null });
  const s = st.current;
  if (s.key !== key) {
    const again = viewOf(s.key) === viewOf(key);
    s.key = key;
    s.error = null;
    s.loading = key !== null;
    s.late = false;
    if (key !== null && cache.has(key)) s.data = cache.get(key) as T;
    // the same view asked again (refresh, live) is not dimmed
    s.stale = s.data !== undefined && key !== null && !again;
  }
  useEffect(() => {
    if (key === null) return undefined;
    const ac = new AbortController();
    const t0 = performance.now();
    s.loading = true;
    const timer = setTimeout(() => {
      s.late = true;
      tick((n) => n + 1);
    }, 120);
    fn(ac.signal)
      .then(
        (d) => {
          if (ac.signal.aborted) return;
          remember(key, d);
          Object.assign(s, { data: d, error: null, loading: false, stale: false, elapsed: performance.now() - t0 });
          tick((n) => n + 1);
        },
        (e: unknown) => {
          if (ac.signal.aborted) return;
          Object.assign(s, {
            error: e instanceof Error ? e : new Error(String(e)),
            loading: false,
            stale: s.data !== undefined,
          });
          tick((n) => n + 1);
        },
      )
      .finally(() => clearTimeout(timer));
    return () => {
      clearTimeout(timer);
      ac.abort();
    };
  }, [key, again]);
  return {
    data: s.data,
    error: s.error,
    loading: s.loading,
    stale: s.stale,
    late: s.late,
    elapsed: s.elapsed,
    retry: () => setAgain((n) => n + 1),
  };
}

/** Asks again every `ms` while the tab is visible. */
export function useInterval(ms: number | null, fn: () => void): void {
  const f = useRef(fn);
  f.current = fn;
  useEffect(() => {
    if (ms === null) return undefined;
    const id = setInterval(() => {
      if (!document.hidden) f.current();
    }, ms);
    return () => clearInterval(id);
  }, [ms]);
}
