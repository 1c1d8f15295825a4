// SPDX-License-Identifier: Apache-2.0
// What every page reads: the location, the absolute range in force, live mode, the server's status.
import { useEffect, useState } from 'preact/hooks';
import { getJson, Y, type Status } from './api';
import { noteServerTime, serverNow } from './boot';
import { here, setParams, useLoc } from './router';
import { isRelative, parseBound } from './time';
import type { Loc, Params } from './url';

export interface View {
  loc: Loc;
  params: Params;
  from: string;
  to: string;
  range: { from_ms: number; to_ms: number };
  /** Changes whenever the range has to be asked again; part of every query key. */
  key: string;
  env: string;
  service: string;
  live: boolean;
  /** A bound of the URL that could not be read; the default is used instead. */
  badTime: boolean;
}

let tick = 0;
let live = false;
let memo: { id: string; range: View['range']; bad: boolean } | null = null;
const subs = new Set<() => void>();
const announce = (): void => {
  for (const s of [...subs]) s();
};

/** Asks everything again; a relative range moves on. */
export function refresh(): void {
  tick++;
  announce();
}
export function setLive(on: boolean): void {
  live = on;
  refresh();
}
export function isLive(): boolean {
  return live;
}
setInterval(() => {
  // reading something stops the list from moving
  const { sel, span } = here().params;
  if (live && !document.hidden && !sel && !span) refresh();
}, 10_000);

function rangeOf(from: string, to: string): { range: View['range']; bad: boolean } {
  const id = `${from}|${to}|${tick}`;
  if (memo?.id === id) return memo;
  const now = Math.floor(serverNow() / 1000) * 1000;
  let a = parseBound(from, now),
    b = parseBound(to, now);
  const bad = a === null || b === null || a >= b;
  if (bad) {
    a = now - 36e5;
    b = now;
  }
  memo = { id, range: { from_ms: a as number, to_ms: b as number }, bad };
  return memo;
}

export function useTick(): void {
  const [, set] = useState(0);
  useEffect(() => {
    const f = (): void => set((n) => n + 1);
    subs.add(f);
    return () => void subs.delete(f);
  }, []);
}

export function useView(): View {
  const loc = useLoc();
  useTick();
  const from = loc.params.from ?? 'now-1h';
  const to = loc.params.to ?? 'now';
  const { range, bad } = rangeOf(from, to);
  return {
    loc,
    params: loc.params,
    from,
    to,
    range,
    key: `${from}|${to}|${tick}`,
    env: loc.params.env ?? '',
    service: loc.params.service ?? '',
    live: live && isRelative(from, to),
    badTime: bad,
  };
}

/** Sets an absolute range (drag on a chart); the earlier one is one Back away. */
export function zoomTo(from_ms: number, to_ms: number): void {
  live = false;
  const a = Math.floor(from_ms),
    b = Math.max(Math.ceil(to_ms), a + 1000);
  setParams({ from: String(a), to: String(b) });
}

/** Moves or scales the range: shift by half a window, zoom by two. */
export function moveRange(v: View, what: 'earlier' | 'later' | 'in' | 'out'): void {
  const { from_ms: a, to_ms: b } = v.range;
  const w = b - a,
    now = serverNow();
  let from = a,
    to = b;
  if (what === 'earlier') {
    from = a - w / 2;
    to = b - w / 2;
  }
  if (what === 'later') {
    from = Math.min(a + w / 2, now - w);
    to = Math.min(b + w / 2, now);
  }
  if (what === 'in') {
    from = a + w / 4;
    to = b - w / 4;
  }
  if (what === 'out') {
    from = a - w / 2;
    to = Math.min(b + w / 2, now);
  }
  zoomTo(from, to);
}

// ---- status line ----
let status: Status | null = null;
let lost = false;
async function ask(): Promise<void> {
  try {
    const s = await getJson<Status>(`${Y}/status`);
    noteServerTime(s.now_ms);
    status = s;
    lost = false;
  } catch (e) {
    lost = e instanceof TypeError;
  }
  announceStatus();
}
const statusSubs = new Set<() => void>();
function announceStatus(): void {
  for (const s of [...statusSubs]) s();
}
export function startStatus(): void {
  void ask();
  setInterval(() => {
    if (!document.hidden) void ask();
  }, 10_000);
}
export function askStatusNow(): void {
  void ask();
}
export function useStatus(): { status: Status | null; lost: boolean } {
  const [, set] = useState(0);
  useEffect(() => {
    const f = (): void => set((n) => n + 1);
    statusSubs.add(f);
    return () => void statusSubs.delete(f);
  }, []);
  return { status, lost };
}
