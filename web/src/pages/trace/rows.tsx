// SPDX-License-Identifier: Apache-2.0
// The waterfall's rows: a virtual list of DOM rows (24 px, 44 px on phones), bars as positioned elements.
import type { ComponentChildren, JSX, VNode } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { fmtDur, fmtInt } from '../../lib/format';
import { t } from '../../lib/i18n';
import { slotInk, slotVar } from '../../lib/slots';
import { FLAG } from '../../lib/traceblock';
import { axisTicks, type Gap, type Row } from '../../lib/waterfall';
import { Icon } from '../../ui/icon';
import type { TraceLog } from './dock';
import type { Loaded } from './index';

interface Ctx {
  l: Loaded;
  win: [number, number];
  pxPerNs: number;
  critical: boolean;
  matches: Set<number> | null;
  logs: Map<number, TraceLog[]>;
  closed: Set<number>;
}

const narrow = matchMedia('(max-width: 767px)');

/** Width of the name column, as trace.css sets it. */
function nameWidth(): number {
  if (narrow.matches) return 0;
  return matchMedia('(max-width: 1279px)').matches ? 260 : matchMedia('(min-width: 1600px)').matches ? 440 : 320;
}

function tick(ns: number, step: number): string {
  if (ns === 0) return '0';
  if (step >= 1e8) return `${(ns / 1e9).toFixed(step >= 1e9 ? 0 : 1)} s`;
  if (step >= 1e6) return `${Math.round(ns / 1e6)} ms`;
  if (step >= 1e5) return `${(ns / 1e6).toFixed(1)} ms`;
  return `${Math.round(ns / 1e3)} µs`;
}

/** Left and width of a stretch inside the window; null when it lies outside. */
function place(c: Ctx, from: number, to: number): { left: string; width: string } | null {
  const [w0, w1] = c.win,
    span = w1 - w0;
  const a = Math.max(from, w0),
    b = Math.min(to, w1);
  if (b < w0 || a > w1) return null;
  return {
    left: `${(((a - w0) / span) * 100).toFixed(3)}%`,
    width: `${((Math.max(0, b - a) / span) * 100).toFixed(3)}%`,
  };
}

/** Position of a mark, or null when it lies outside the window. */
function mark(c: Ctx, at: number): string | null {
  const [w0, w1] = c.win;
  return at < w0 || at > w1 ? null : `${(((at - w0) / (w1 - w0)) * 100).toFixed(3)}%`;
}

/** A stretch of a row; nothing outside the window. */
function Piece({
  c,
  from,
  to,
  cls,
  style,
}: {
  c: Ctx;
  from: number;
  to: number;
  cls: string;
  style?: JSX.CSSProperties;
}): VNode | null {
  const p = place(c, from, to);
  return p ? <span class={cls} style={{ ...p, ...style }} /> : null;
}

/** Where a bar's text goes: right of it, left when there is no room, inside on long bars (at its start when a log dot would lie under the text). */
function Label({
  c,
  from,
  to,
  text,
  ink,
  shift = 0,
  outside,
  dots = [],
}: {
  c: Ctx;
  from: number;
  to: number;
  text: ComponentChildren;
  ink: string;
  shift?: number;
  outside?: boolean;
  dots?: number[];
}): VNode | null {
  const [w0, w1] = c.win,
    span = w1 - w0;
  if (to < w0 || from > w1) return null;
  const x0 = Math.max(0, (from - w0) / span) * 100,
    x1 = Math.min(1, (to - w0) / span) * 100;
  const px = (share: number): number => (share / 100) * span * c.pxPerNs;
  const width = px(x1 - x0),
    room = px(100 - x1),
    leftRoom = px(x0);
  if (room > 150)
    return (
      <span class="lb" style={{ left: `calc(${x1}% + ${6 + shift}px)` }}>
        {text}
      </span>
    );
  if (width > 64 && !outside) {
    const end = Math.min(to, w1);
    const covered = dots.some((d) => d < end - 2 && (end - d) * c.pxPerNs < 64);
    return covered ? (
      <span class="lb in" style={{ left: `calc(${x0}% + 8px)`, color: ink }}>
        {text}
      </span>
    ) : (
      <span class="lb in" style={{ right: `calc(${100 - x1}% + ${to > w1 ? 6 : 6 + shift / 2}px)`, color: ink }}>
        {text}
      </span>
    );
  }
  if (leftRoom > room)
    return (
      <span class="lb" style={{ right: `calc(${100 - x0}% + 6px)` }}>
        {text}
      </span>
    );
  return (
    <span class="lb" style={{ left: `calc(${x1}% + ${6 + shift}px)` }}>
      {text}
    </span>
  );
}

/** Critical stretches of several rows as one list; pieces less than two pixels apart are joined. */
function criticalOf(c: Ctx, rows: number[]): [number, number][] {
  const out: [number, number][] = [];
  for (const [x, y] of rows.flatMap((i) => c.l.a.critical.get(i) ?? []).sort((p, q) => p[0] - q[0])) {
    const last = out[out.length - 1];
    if (last && (x - last[1]) * c.pxPerNs < 2) last[1] = Math.max(last[1], y);
    else out.push([x, y]);
  }
  return out;
}

function Bar({ c, r }: { c: Ctx; r: Row }): VNode {
  const { block: b, a, slots } = c.l;
  if (r.kind === 'hidden')
    return (
      <div class="b" role="gridcell">
        <span class="lb t3">{t('trace.hidden', { n: fmtInt(r.n) })}</span>
      </div>
    );
  const i = r.kind === 'group' ? r.g.first : r.i;
  const slot = slots.get(b.str(b.service[i] as number));
  const fill = slotVar(slot),
    ink = slotInk(slot);
  const critical = c.critical
    ? criticalOf(c, r.kind === 'group' ? r.g.rows : [i]).map(([x, y]) => (
        <Piece key={x} c={c} from={x} to={y} cls="cp" />
      ))
    : null;
  if (r.kind === 'group') {
    const g = r.g,
      errAt = g.errors ? mark(c, g.end) : null;
    return (
      <div class="b" role="gridcell">
        <Piece c={c} from={g.start} to={g.end} cls="x many" style={{ '--c': fill }} />
        {critical}
        {errAt ? (
          <span class="err" style={{ left: `calc(${errAt} + 6px)` }}>
            <Icon n="st-error" />
          </span>
        ) : null}
        <Label
          c={c}
          from={g.start}
          to={g.end}
          ink="var(--text)"
          outside
          shift={errAt ? 12 : 0}
          text={
            <>
              {fmtDur(g.end - g.start)}{' '}
              <span class="t3">{t('trace.group', { avg: fmtDur(g.sum / g.rows.length), max: fmtDur(g.max) })}</span>
            </>
          }
        />
      </div>
    );
  }
  const s = b.startOff[i] as number,
    d = b.dur[i] as number,
    f = b.flag[i] as number;
  const dash = (f & FLAG.async) !== 0 && (f & FLAG.inferred) !== 0;
  const errAt = f & FLAG.error ? mark(c, s + d) : null;
  const lg = c.logs.get(i) ?? [];
  const gap = a.gaps.get(i);
  const drawn = gap && (gap.to - gap.from) * c.pxPerNs > 12 ? gap : null;
  const solid: [number, number][] = drawn
    ? [
        [s, drawn.from],
        [drawn.to, s + d],
      ]
    : [[s, s + d]];
  const body = solid.filter(([x, y]) => y > x || !drawn);
  return (
    <div class="b" role="gridcell">
      {drawn ? <Piece c={c} from={drawn.from} to={drawn.to} cls="x hatch" /> : null}
      {body.map(([x, y]) => (
        <Piece
          key={x}
          c={c}
          from={x}
          to={y}
          cls={`x ${dash ? 'dash' : ''}`}
          style={dash ? { borderColor: fill } : { background: fill }}
        />
      ))}
      {drawn ? <GapLabel c={c} gap={drawn} /> : null}
      {critical}
      {lg.slice(0, 40).map((x) => {
        const at = mark(c, x.off);
        return at ? (
          <span key={x.id} class={`lg ${x.kind === 'error' ? 'is-error' : ''}`} style={{ left: at }} />
        ) : null;
      })}
      {errAt ? (
        <span class="err" style={{ left: `calc(${errAt} + 4px)` }}>
          <Icon n="st-error" />
        </span>
      ) : null}
      <Label
        c={c}
        from={body[body.length - 1]?.[0] ?? s}
        to={s + d}
        ink={ink}
        outside={dash}
        shift={errAt ? 12 : lg.length ? 2 : 0}
        dots={lg.map((x) => x.off)}
        text={dash ? `${fmtDur(d)} ${t('trace.queue')}` : fmtDur(d)}
      />
      <span class="sr">{fmtDur(d)}</span>
    </div>
  );
}

function GapLabel({ c, gap }: { c: Ctx; gap: Gap }): VNode | null {
  const p = place(c, gap.from, gap.to);
  if (!p || (Math.min(gap.to, c.win[1]) - Math.max(gap.from, c.win[0])) * c.pxPerNs < 160) return null;
  const d = fmtDur(gap.to - gap.from);
  return (
    <span class="lb gaplb" style={p}>
      <span>
        <span class="hide-narrow">{t(`trace.${gap.kind}`, { d })}</span>
        <span class="only-narrow">{d}</span>
      </span>
    </span>
  );
}

function Name({ c, r, onToggle }: { c: Ctx; r: Row; onToggle: () => void }): VNode {
  const { block: b, a, slots } = c.l;
  const i = r.kind === 'group' ? r.g.first : r.i;
  const depth = b.depth[i] as number;
  const indent = <span class="ind" style={{ width: `${Math.min(depth, 24) * 16}px` }} />;
  if (r.kind === 'hidden') {
    return (
      <div class="n" role="gridcell">
        {indent}
        <button
          class="tw"
          type="button"
          tabIndex={-1}
          aria-label={t('trace.show_all')}
          onClick={(e) => {
            e.stopPropagation();
            onToggle();
          }}
        >
          <Icon n="right" cls="s12" />
        </button>
        <span class="t3">{t('trace.hidden', { n: fmtInt(r.n) })}</span>
        {r.errors ? (
          <span class="kids st c-error">
            <Icon n="st-error" cls="s12" />
            {r.errors}
          </span>
        ) : null}
      </div>
    );
  }
  const svc = b.str(b.service[i] as number);
  const below = (b.endOf[i] as number) - i - 1;
  const group = r.kind === 'group';
  const open = !group && below > 0 && !c.closed.has(i);
  const f = b.flag[i] as number;
  const errors = group ? r.g.errors : (a.subErrors[i] as number) - (f & FLAG.error ? 1 : 0);
  return (
    <div class="n" role="gridcell">
      {indent}
      {group || below > 0 ? (
        <button
          class="tw"
          type="button"
          tabIndex={-1}
          aria-label={t(open ? 'keys.fold' : 'keys.unfold')}
          onClick={(e) => {
            e.stopPropagation();
            onToggle();
          }}
        >
          <Icon n={open ? 'down' : 'right'} cls="s12" />
        </button>
      ) : (
        <span class="tw" />
      )}
      <i class="sw" style={{ background: slotVar(slots.get(svc)) }} title={svc} />
      {group ? (
        <Icon n="repeat" cls="s14" />
      ) : (f & FLAG.inferred) !== 0 && (f & FLAG.async) !== 0 ? (
        <Icon n="queue" cls="s14" />
      ) : (f & FLAG.cold) !== 0 ? (
        <Icon n="cold" cls="s14" />
      ) : null}
      <span class="op">
        {group ? `×${fmtInt(r.g.rows.length)} ` : ''}
        {b.str(b.name[i] as number)}
      </span>
      <span class="res cut">{b.str(b.resource[i] as number)}</span>
      {errors ? (
        <span class="kids st c-error">
          <Icon n="st-error" cls="s12" />
        </span>
      ) : null}
      {!group && below ? (
        <span class="kids" style={errors ? { marginLeft: '0' } : {}}>
          {fmtInt(below)}
        </span>
      ) : null}
    </div>
  );
}

export function Waterfall({
  l,
  rows,
  win,
  cur,
  selected,
  matches,
  critical,
  logs,
  closed,
  scrollTo,
  onCursor,
  onOpen,
  onToggle,
}: {
  l: Loaded;
  rows: Row[];
  win: [number, number];
  cur: number;
  selected: number;
  matches: number[] | null;
  critical: boolean;
  logs: Map<number, TraceLog[]>;
  closed: Set<number>;
  scrollTo: { current: ((row: number) => void) | null };
  onCursor: (i: number) => void;
  onOpen: (i: number) => void;
  onToggle: (r: Row) => void;
}): VNode {
  const box = useRef<HTMLDivElement>(null);
  const [top, setTop] = useState(0);
  const [size, setSize] = useState({ w: 800, h: 600 });
  const [phone, setPhone] = useState(narrow.matches);
  const rowH = phone ? 44 : 24,
    nameW = nameWidth();
  useEffect(() => {
    const el = box.current;
    if (!el) return undefined;
    const ro = new ResizeObserver(() => setSize({ w: el.clientWidth, h: el.clientHeight }));
    ro.observe(el);
    const mq = (): void => setPhone(narrow.matches);
    narrow.addEventListener('change', mq);
    return () => {
      ro.disconnect();
      narrow.removeEventListener('change', mq);
    };
  }, []);
  scrollTo.current = (i: number): void => {
    const el = box.current;
    if (!el) return;
    const y = i * rowH,
      view = el.clientHeight - 24;
    if (y < el.scrollTop) el.scrollTop = Math.max(0, y - rowH * 2);
    else if (y + rowH > el.scrollTop + view) el.scrollTop = y - view + rowH * 3;
  };
  const first = Math.max(0, Math.floor(top / rowH) - 6),
    count = Math.ceil(size.h / rowH) + 12;
  const slice = rows.slice(first, first + count);
  const span = win[1] - win[0];
  const barW = Math.max(1, size.w - nameW - 24);
  const ctx: Ctx = { l, win, pxPerNs: barW / span, critical, matches: matches ? new Set(matches) : null, logs, closed };
  const ticks = axisTicks(win[0], win[1], Math.max(2, Math.min(10, Math.floor(barW / 56))));
  const step = ticks.length > 1 ? (ticks[1] as number) - (ticks[0] as number) : span;
  const folded = rows.filter((r) => r.kind === 'group').length;
  const id = (i: number): string => `row-${i}`;
  return (
    <div
      class="scroll wfbox"
      ref={box}
      onScroll={(e) => setTop(e.currentTarget.scrollTop)}
      tabIndex={0}
      role="treegrid"
      aria-label={t('trace.waterfall')}
      aria-rowcount={rows.length}
      aria-activedescendant={cur >= first && cur < first + slice.length ? id(cur) : undefined}
      aria-colcount={2}
    >
      <div class="axis" aria-hidden="true">
        <span class="cut">
          {t('trace.rows', { n: fmtInt(rows.length), total: fmtInt(l.block.n) })}
          {folded ? `, ${t('trace.folded', { n: folded })}` : ''}
        </span>
        <span class="t">
          {ticks.map((x) => (
            <span key={x} style={{ left: `${((x - win[0]) / span) * 100}%` }}>
              {tick(x, step)}
            </span>
          ))}
        </span>
      </div>
      <div class="wf" style={{ height: `${rows.length * rowH}px` }}>
        <div class="gridlines" aria-hidden="true">
          {ticks.map((x) => (
            <i key={x} style={{ left: `${((x - win[0]) / span) * 100}%` }} />
          ))}
        </div>
        <div class="slice" style={{ transform: `translateY(${first * rowH}px)` }}>
          {slice.map((r, k) => {
            const n = first + k;
            const i = r.kind === 'group' ? r.g.first : r.i;
            const isSel = r.kind === 'span' && i === selected;
            const dim =
              ctx.matches && !(r.kind === 'group' ? r.g.rows.some((x) => ctx.matches?.has(x)) : ctx.matches.has(i));
            const below = (l.block.endOf[i] as number) - i - 1;
            return (
              <div
                key={n}
                id={id(n)}
                class={`srow ${n === cur ? 'is-cur' : ''} ${dim ? 'dim' : ctx.matches ? 'hit' : ''}`}
                role="row"
                aria-level={(l.block.depth[i] as number) + 1}
                aria-rowindex={n + 1}
                aria-selected={isSel}
                aria-expanded={r.kind === 'group' ? false : below > 0 ? !closed.has(i) : undefined}
                onClick={() => {
                  onCursor(n);
                  onOpen(n);
                }}
              >
                <Name c={ctx} r={r} onToggle={() => onToggle(r)} />
                <Bar c={ctx} r={r} />
              </div>
            );
          })}
        </div>
      </div>
    </div>
  );
}
