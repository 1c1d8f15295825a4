// SPDX-License-Identifier: Apache-2.0
// Times: typed input, zones, formatting. The only module that may touch Date parts; all others hand over milliseconds.

export const UNIT_MS: Record<string, number> = { s: 1e3, m: 6e4, h: 36e5, d: 864e5, w: 6048e5 };

/** One zone for the whole page; `tz=` of the URL or the browser's. */
let zone = Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC';
let locale = 'en';

export function setZone(tz: string | undefined, lang: string): void {
  locale = lang === 'ja' ? 'ja-JP' : 'en-GB';
  const wanted = tz || Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC';
  try {
    new Intl.DateTimeFormat('en', { timeZone: wanted });
    zone = wanted;
  } catch {
    zone = 'UTC';
  }
  cache.clear();
}

export function pageZone(): string {
  return zone;
}

const cache = new Map<string, Intl.DateTimeFormat>();
function dtf(key: string, tz: string, o: Intl.DateTimeFormatOptions, loc = 'en-GB'): Intl.DateTimeFormat {
  const k = `${key}|${tz}|${loc}`;
  let f = cache.get(k);
  if (!f) cache.set(k, (f = new Intl.DateTimeFormat(loc, { timeZone: tz, hourCycle: 'h23', ...o })));
  return f;
}

export interface Wall {
  y: number;
  mo: number;
  d: number;
  h: number;
  mi: number;
  s: number;
  ms: number;
}

/** Wall clock of a moment in a zone. */
export function wall(ms: number, tz = zone): Wall {
  const out: Record<string, number> = {};
  const f = dtf('wall', tz, {
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
  });
  for (const p of f.formatToParts(ms)) if (p.type !== 'literal') out[p.type] = Number(p.value);
  return {
    y: out.year ?? 0,
    mo: out.month ?? 0,
    d: out.day ?? 0,
    h: out.hour ?? 0,
    mi: out.minute ?? 0,
    s: out.second ?? 0,
    ms: ((ms % 1000) + 1000) % 1000,
  };
}

/** Moment of a wall clock in a zone; a time that does not exist (DST gap) moves forward, a doubled one is the first. */
export function fromWall(w: Wall, tz = zone): number {
  const asUtc = Date.UTC(w.y, w.mo - 1, w.d, w.h, w.mi, w.s, w.ms);
  const off = (t: number): number => {
    const x = wall(t, tz);
    return Date.UTC(x.y, x.mo - 1, x.d, x.h, x.mi, x.s, x.ms) - t;
  };
  const first = asUtc - off(asUtc - 36e5 * 12);
  if (first + off(first) === asUtc) return first;
  const second = asUtc - off(asUtc + 36e5 * 12);
  return second + off(second) === asUtc ? second : asUtc - off(asUtc - 36e5 * 12);
}

/** Milliseconds that the page's zone is ahead of UTC at a moment. */
export function zoneOffset(ms: number, tz = zone): number {
  const w = wall(ms, tz);
  return Date.UTC(w.y, w.mo - 1, w.d, w.h, w.mi, w.s, w.ms) - ms;
}

const p2 = (n: number): string => String(n).padStart(2, '0');

/** Short name of the zone at a moment: JST, GMT+2. */
export function zoneName(ms: number): string {
  if (zone === 'UTC' || zone === 'Etc/UTC') return 'UTC';
  if (zone === 'Asia/Tokyo') return 'JST';
  const part = dtf('zone', zone, { timeZoneName: 'short' }, 'en-US')
    .formatToParts(ms)
    .find((p) => p.type === 'timeZoneName');
  return part?.value ?? zone;
}

/** 14:02, or 14:02:07 / 14:02:07.204 */
export function fmtClock(ms: number, digits: 'min' | 's' | 'ms' = 'min'): string {
  const w = wall(ms);
  const t = `${p2(w.h)}:${p2(w.mi)}`;
  if (digits === 'min') return t;
  return digits === 's' ? `${t}:${p2(w.s)}` : `${t}:${p2(w.s)}.${String(w.ms).padStart(3, '0')}`;
}

/** 2026-02-03, in Japanese with the weekday. */
export function fmtDate(ms: number): string {
  const w = wall(ms);
  const day = `${w.y}-${p2(w.mo)}-${p2(w.d)}`;
  return locale === 'ja-JP' ? `${day}(${dtf('wd', zone, { weekday: 'short' }, 'ja-JP').format(ms)})` : day;
}

/** 3 Feb / 2月3日 */
export function fmtDay(ms: number): string {
  return dtf('day', zone, { day: 'numeric', month: 'short' }, locale).format(ms);
}

export function fmtFull(ms: number, digits: 's' | 'ms' = 'ms'): string {
  return `${fmtDate(ms)} ${fmtClock(ms, digits)} ${zoneName(ms)}`;
}

/** What a time's tooltip says: UTC, the page's zone, and the age. */
export function timeTitle(ms: number, now: number): string {
  const utc = new Date(ms).toISOString().replace('T', ' ').replace('Z', ' UTC');
  const s = Math.max(0, Math.round((now - ms) / 1000));
  const age =
    s < 90
      ? `${s} s`
      : s < 5400
        ? `${Math.round(s / 60)} min`
        : s < 172800
          ? `${Math.round(s / 3600)} h`
          : `${Math.round(s / 86400)} d`;
  return `${fmtFull(ms)}\n${utc}\n− ${age}`;
}

export function sameDay(a: number, b: number): boolean {
  const x = wall(a),
    y = wall(b);
  return x.y === y.y && x.mo === y.mo && x.d === y.d;
}

/** 14:02–15:02 JST; with days when the range leaves the day of `now`. */
export function fmtRange(from: number, to: number, now: number): string {
  const z = zoneName(to);
  if (sameDay(from, to)) return `${sameDay(to, now) ? '' : fmtDay(from) + ' '}${fmtClock(from)}–${fmtClock(to)} ${z}`;
  return `${fmtDay(from)} ${fmtClock(from)} – ${fmtDay(to)} ${fmtClock(to)} ${z}`;
}

/** One bound of a range: now, now-15m, epoch ms, ISO 8601. Null when it is none of these. */
export function parseBound(s: string, now: number): number | null {
  const rel = /^now(?:([+-])(\d+)([smhdw]))?$/.exec(s);
  if (rel)
    return rel[1] ? now + (rel[1] === '-' ? -1 : 1) * Number(rel[2]) * (UNIT_MS[rel[3] as string] as number) : now;
  if (/^\d{12,14}$/.test(s)) return Number(s);
  if (/^\d{10}$/.test(s)) return Number(s) * 1000;
  const iso =
    /^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,3}))?)?)?(Z|[+-]\d{2}:?\d{2})?$/.exec(s);
  if (!iso) return null;
  const n = (i: number): number => Number(iso[i] ?? 0);
  const ms = Number((iso[7] ?? '0').padEnd(3, '0'));
  if (n(2) < 1 || n(2) > 12 || n(3) < 1 || n(3) > 31 || n(4) > 24 || n(5) > 59) return null;
  if (!iso[8]) return fromWall({ y: n(1), mo: n(2), d: n(3), h: n(4), mi: n(5), s: n(6), ms });
  const utc = Date.UTC(n(1), n(2) - 1, n(3), n(4), n(5), n(6), ms);
  if (iso[8] === 'Z') return utc;
  const o = /([+-])(\d{2}):?(\d{2})/.exec(iso[8]) as RegExpExecArray;
  return utc - (o[1] === '-' ? -1 : 1) * (Number(o[2]) * 36e5 + Number(o[3]) * 6e4);
}

export interface Bounds {
  from: string;
  to: string;
}

/** What people type: 5m, 2h, yesterday, 今日, 3:00-3:30, ISO/ISO, epoch, now-1w. Null when not understood. */
export function parseTyped(input: string, now: number): Bounds | null {
  const s = input
    .trim()
    .normalize('NFKC')
    .replace(/[〜~–—]/g, '-')
    .toLowerCase();
  const span = /^(?:past\s+|last\s+|過去)?(\d+)\s*(s|m|h|d|w|min|分|時間|日|週間?|秒)$/.exec(s);
  if (span) {
    const u = { min: 'm', 分: 'm', 時間: 'h', 日: 'd', 週: 'w', 週間: 'w', 秒: 's' }[span[2] as string] ?? span[2];
    return { from: `now-${span[1]}${u}`, to: 'now' };
  }
  const w = wall(now);
  const midnight = fromWall({ ...w, h: 0, mi: 0, s: 0, ms: 0 });
  if (s === 'today' || s === '今日') return { from: String(midnight), to: 'now' };
  if (s === 'yesterday' || s === '昨日') {
    const y = wall(midnight - 432e5);
    return { from: String(fromWall({ ...y, h: 0, mi: 0, s: 0, ms: 0 })), to: String(midnight) };
  }
  const clock = /^(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})$/.exec(s);
  if (clock) {
    const at = (h: string, m: string): number => fromWall({ ...w, h: Number(h), mi: Number(m), s: 0, ms: 0 });
    let a = at(clock[1] as string, clock[2] as string),
      b = at(clock[3] as string, clock[4] as string);
    if (b <= a) a -= UNIT_MS.d as number;
    if (a > now) {
      a -= UNIT_MS.d as number;
      b -= UNIT_MS.d as number;
    }
    return Number(clock[1]) < 24 && Number(clock[3]) < 25 ? { from: String(a), to: String(b) } : null;
  }
  const up = input
    .trim()
    .toUpperCase()
    .replace(/NOW/g, 'now')
    .replace(/(now[+-]\d+)([SMHDW])/g, (_, a, b) => a + String(b).toLowerCase());
  const pair = /^(\S+?)(?:\s+-\s+|\s*\/\s*|\s+to\s+|\s*,\s*)(\S+)$/i.exec(up);
  if (pair) {
    const a = parseBound(pair[1] as string, now),
      b = parseBound(pair[2] as string, now);
    if (a === null || b === null || a >= b) return null;
    return { from: keep(pair[1] as string, a), to: keep(pair[2] as string, b) };
  }
  const one = parseBound(up, now);
  return one !== null && one < now ? { from: keep(up, one), to: 'now' } : null;
}

function keep(s: string, ms: number): string {
  return s.startsWith('now') ? s : String(ms);
}

/** Seconds of the presets offered by the picker. */
export const PRESETS = ['5m', '15m', '30m', '1h', '4h', '1d', '2d', '1w'];

/** True for from=now-…, to=now. */
export function isRelative(from: string, to: string): boolean {
  return to === 'now' && /^now-\d+[smhdw]$/.test(from);
}
