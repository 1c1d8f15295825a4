// SPDX-License-Identifier: Apache-2.0
// View state in the URL: the only store of what a page shows. Pure functions; lib/router.ts binds them to the browser.

export type Params = Record<string, string>;
export interface Loc {
  path: string;
  params: Params;
}

/** Keys that every internal link carries. All others belong to the page and are dropped on leaving it. */
export const SCOPE_KEYS = ['env', 'service', 'from', 'to', 'tz', 'lang'] as const;

/** Values that are left out of the URL. */
export const DEFAULTS: Params = { from: 'now-1h', to: 'now' };

/** Paths of links that runbooks hold from elsewhere; tested against the same list in the server's test. */
const ALIASES: [RegExp, (m: RegExpExecArray) => string, ((m: RegExpExecArray) => Params)?][] = [
  [/^\/apm\/traces$/, () => '/traces'],
  [/^\/apm\/trace\/([0-9a-fA-F]+)$/, (m) => `/trace/${m[1]}`],
  [/^\/apm\/services$|^\/services$|^\/functions$/, () => '/'],
  // one service has no page of its own yet: its traces are shown
  [/^\/(?:services|functions)\/([\w.:-]+)$/, () => '/traces', (m) => ({ q: `service:${m[1]}` })],
  [/^\/metric\/explorer$/, () => '/metrics'],
  [/^\/metric\/summary$/, () => '/metrics'],
  [/^\/monitors\/manage$/, () => '/monitors'],
];
const KEY_ALIASES: [string, string][] = [
  ['query', 'q'],
  ['from_ts', 'from'],
  ['to_ts', 'to'],
];

/** Parses a query string; the first value of a key wins, unknown keys are kept. */
export function parseSearch(search: string): Params {
  const out: Params = {};
  for (const [k, v] of new URLSearchParams(search)) if (!(k in out)) out[k] = v;
  return out;
}

/** Readable encoding: only what a URL cannot hold is escaped. */
function enc(s: string): string {
  return encodeURIComponent(s)
    .replace(/%20/g, '+')
    .replace(/%(3A|2C|40|2F|3D|3B|7B|7D|3E|3C)/g, (h) =>
      h === '%3D' || /%3[CE]|%7[BD]/.test(h) ? h : decodeURIComponent(h),
    );
}

/** Sorted keys, defaults and empty values left out: equal views are equal strings. */
export function formatSearch(params: Params): string {
  const keys = Object.keys(params)
    .filter((k) => params[k] !== '' && params[k] !== DEFAULTS[k])
    .sort();
  return keys.length ? '?' + keys.map((k) => `${enc(k)}=${enc(params[k] ?? '')}`).join('&') : '';
}

export function formatLoc(loc: Loc): string {
  return loc.path + formatSearch(loc.params);
}

/** Resolves path and key aliases; returns the same object when there is nothing to do. */
export function canonical(loc: Loc): Loc {
  let { path } = loc;
  if (path.length > 1 && path.endsWith('/')) path = path.slice(0, -1);
  const params = { ...loc.params };
  for (const [re, to, more] of ALIASES) {
    const m = re.exec(path);
    if (!m) continue;
    path = to(m);
    for (const [k, v] of Object.entries(more?.(m) ?? {})) if (!(k in params)) params[k] = v;
  }
  for (const [from, to] of KEY_ALIASES) {
    if (from in params) {
      if (!(to in params)) params[to] = params[from] ?? '';
      delete params[from];
    }
  }
  return { path, params };
}

/** A link from `here` to another page: scope keys are carried, page keys are dropped. */
export function linkTo(here: Params, path: string, extra: Params = {}): Loc {
  const params: Params = {};
  for (const k of SCOPE_KEYS) if (here[k]) params[k] = here[k] as string;
  return { path, params: { ...params, ...extra } };
}

/** The same view with some keys changed; null removes a key. */
export function withParams(here: Params, change: Record<string, string | null>): Params {
  const out = { ...here };
  for (const [k, v] of Object.entries(change)) {
    if (v === null || v === '') delete out[k];
    else out[k] = v;
  }
  return out;
}
