// SPDX-License-Identifier: Apache-2.0
// Binds lib/url.ts to the browser: one current location, one function that writes it, one hook that reads it.
import { useEffect, useState } from 'preact/hooks';
import { canonical, formatLoc, linkTo, parseSearch, withParams, type Loc, type Params } from './url';

type Listener = () => void;
const listeners = new Set<Listener>();
let current: Loc = read();

function read(): Loc {
  const raw = { path: decodeURIComponent(location.pathname), params: parseSearch(location.search) };
  const loc = canonical(raw);
  if (loc.path !== raw.path || 'query' in raw.params || 'from_ts' in raw.params) {
    history.replaceState(history.state, '', formatLoc(loc));
  }
  return loc;
}

function announce(): void {
  for (const l of [...listeners]) l();
}

addEventListener('popstate', () => {
  current = read();
  announce();
});

export function here(): Loc {
  return current;
}

/** Goes to a location. `replace` for states that Back should not visit (zoom while dragging, column widths). */
export function go(loc: Loc, replace = false): void {
  const url = formatLoc(loc);
  if (url === formatLoc(current) && !replace) return;
  if (replace) history.replaceState(history.state, '', url);
  else history.pushState(null, '', url);
  current = { path: loc.path, params: loc.params };
  announce();
}

/** Changes keys of the present page. */
export function setParams(change: Record<string, string | null>, replace = false): void {
  go({ path: current.path, params: withParams(current.params, change) }, replace);
}

/** Path and query of a link to another page with the present scope. */
export function href(path: string, extra: Params = {}): string {
  return formatLoc(linkTo(current.params, path, extra));
}

/** Path and query of the present page with keys changed. */
export function hrefHere(change: Record<string, string | null>): string {
  return formatLoc({ path: current.path, params: withParams(current.params, change) });
}

export function useLoc(): Loc {
  const [, tick] = useState(0);
  useEffect(() => {
    const l = (): void => tick((n) => n + 1);
    listeners.add(l);
    return () => void listeners.delete(l);
  }, []);
  return current;
}

/** Clicks on plain internal links become pushState; anything else is left to the browser. */
export function interceptLinks(): void {
  document.addEventListener('click', (e) => {
    if (e.defaultPrevented || e.button !== 0 || e.metaKey || e.ctrlKey || e.shiftKey || e.altKey) return;
    const a = (e.target as Element | null)?.closest?.('a[href]') as HTMLAnchorElement | null;
    if (!a || a.target || a.hasAttribute('download') || a.origin !== location.origin) return;
    if (a.pathname.startsWith('/api/') || a.getAttribute('href')?.startsWith('#')) return;
    e.preventDefault();
    go(canonical({ path: decodeURIComponent(a.pathname), params: parseSearch(a.search) }));
  });
}

/** A small value that belongs to this history entry (scroll row), restored by Back. */
export function entryState<T>(key: string): T | undefined {
  return (history.state as Record<string, T> | null)?.[key];
}
export function setEntryState(key: string, value: unknown): void {
  history.replaceState({ ...(history.state as object | null), [key]: value }, '');
}
