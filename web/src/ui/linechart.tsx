// SPDX-License-Identifier: Apache-2.0
// Time series by uPlot in the page's colours: drag to zoom, keyboard cursor with a spoken value, table view, thresholds.
import type { VNode } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import uPlot from 'uplot';
import { fmtValue } from '../lib/format';
import { t } from '../lib/i18n';
import { fmtClock, fmtFull, pageZone } from '../lib/time';
import { ChartTable, timeTicks, useWidth } from './svg';

export interface LineSeries {
  label: string;
  color: string;
  values: (number | null)[];
  dash?: number[];
  width?: number;
  alpha?: number;
}
export interface Threshold {
  value: number;
  color: string;
  label: string;
  dash?: number[];
}
export interface Span {
  from: number;
  to: number;
  color: string;
}

function css(v: string): string {
  const m = /^var\((--[\w-]+)\)$/.exec(v);
  return m
    ? getComputedStyle(document.documentElement)
        .getPropertyValue(m[1] as string)
        .trim()
    : v;
}

/** Draws series over `times` (ms). Colours are custom properties, read anew when the theme changes. */
export function LineChart({
  times,
  series,
  range,
  h = 240,
  thresholds = [],
  spans = [],
  bracket,
  onZoom,
  label,
  fmt = fmtValue,
  onCursor,
}: {
  times: number[];
  series: LineSeries[];
  range: { from_ms: number; to_ms: number };
  h?: number;
  thresholds?: Threshold[];
  spans?: Span[];
  bracket?: { from: number; to: number; label: string };
  onZoom?: (a: number, b: number) => void;
  label: string;
  fmt?: (n: number) => string;
  onCursor?: (i: number | null) => void;
}): VNode {
  const [box, w] = useWidth<HTMLElement>();
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const [cur, setCur] = useState<number | null>(null);
  const [sticky, setSticky] = useState(false);
  const [table, setTable] = useState(false);
  const [theme, setTheme] = useState(document.documentElement.dataset.theme);
  const stickyRef = useRef(false);
  stickyRef.current = sticky;
  useEffect(() => {
    const mo = new MutationObserver(() => setTheme(document.documentElement.dataset.theme));
    mo.observe(document.documentElement, { attributes: true, attributeFilter: ['data-theme'] });
    return () => mo.disconnect();
  }, []);

  useEffect(() => {
    const el = host.current;
    if (!el || w < 40) return undefined;
    const all = series.flatMap((s) => s.values.filter((v): v is number => v !== null));
    const lo = Math.min(0, ...all),
      top = Math.max(...all, ...thresholds.map((x) => x.value * 1.08), 0);
    const hi = top > 0 ? top * 1.1 : lo < 0 ? 0 : 1;
    const font = '11px ' + css('var(--font)');
    const under = (u: uPlot): void => paintUnder(u, thresholds, spans);
    const over = (u: uPlot): void => paintOver(u, thresholds, bracket, font);
    const opts: uPlot.Options = {
      width: w,
      height: h,
      tzDate: (ts) => uPlot.tzDate(new Date(ts * 1000), pageZone()),
      legend: { show: false },
      padding: [12, 8, 0, 0],
      cursor: { points: { size: 6 }, drag: { x: !!onZoom, y: false, setScale: false }, focus: { prox: 24 } },
      focus: { alpha: series.length > 6 ? 0.35 : 1 },
      scales: {
        x: { time: true, range: () => [range.from_ms / 1000, range.to_ms / 1000] },
        y: { range: () => [lo * 1.1, hi] },
      },
      axes: [
        {
          stroke: css('var(--text-3)'),
          font,
          size: 24,
          gap: 4,
          grid: { show: false },
          ticks: { show: false },
          splits: () => timeTicks(range.from_ms, range.to_ms, w).map((x) => x.at / 1000),
          values: () => timeTicks(range.from_ms, range.to_ms, w).map((x) => x.label),
        },
        {
          stroke: css('var(--text-3)'),
          font,
          size: 56,
          gap: 6,
          grid: { stroke: css('var(--grid)'), width: 1 },
          ticks: { show: false },
          space: 40,
          values: (_u, vs) => vs.map((v) => fmt(v)),
        },
      ],
      series: [
        {},
        ...series.map((s) => ({
          label: s.label,
          stroke: css(s.color),
          width: s.width ?? 1.5,
          dash: s.dash,
          alpha: s.alpha ?? 1,
          spanGaps: false,
          points: { show: sparse(s.values), size: 4, fill: css(s.color) },
        })),
      ],
      hooks: {
        drawClear: [under],
        draw: [over],
        setCursor: [
          (u) => {
            if (!stickyRef.current)
              setCur(u.cursor.left !== undefined && u.cursor.left >= 0 ? (u.cursor.idx ?? null) : null);
          },
        ],
        setSelect: [
          (u) => {
            if (!onZoom || u.select.width < 4) return;
            onZoom(u.posToVal(u.select.left, 'x') * 1000, u.posToVal(u.select.left + u.select.width, 'x') * 1000);
          },
        ],
      },
    };
    const data = [times.map((x) => x / 1000), ...series.map((s) => s.values)] as uPlot.AlignedData;
    const u = new uPlot(opts, data, el);
    plot.current = u;
    return () => {
      u.destroy();
      plot.current = null;
    };
  }, [times, series, w, h, theme, range.from_ms, range.to_ms, thresholds.length, spans.length]);

  useEffect(() => onCursor?.(cur), [cur]);

  const key = (e: KeyboardEvent): void => {
    const d = ({ ArrowLeft: -1, ArrowRight: 1 } as Record<string, number>)[e.key];
    const n = times.length;
    if (d && n) {
      e.preventDefault();
      const next = Math.max(0, Math.min(n - 1, (cur ?? (d < 0 ? n : -1)) + d * (e.shiftKey ? 10 : 1)));
      setCur(next);
      const u = plot.current;
      if (u) u.setCursor({ left: u.valToPos((times[next] as number) / 1000, 'x'), top: 8 });
    } else if (e.key === 'Enter' && cur !== null && onZoom && n > 1) {
      e.preventDefault();
      const step = (times[1] as number) - (times[0] as number);
      onZoom(times[cur] as number, (times[cur] as number) + step);
    } else if (e.key === 't' || e.key === 'T') {
      e.preventDefault();
      e.stopPropagation();
      setTable((x) => !x);
    } else if (e.key === 'Escape' && (sticky || cur !== null)) {
      e.preventDefault();
      setSticky(false);
      setCur(null);
    }
  };
  const u = plot.current;
  const at = cur !== null ? times[cur] : undefined;
  const rows =
    cur === null
      ? []
      : series
          .map((s) => ({ s, v: s.values[cur] ?? null }))
          .filter((r) => r.v !== null)
          .sort((a, b) => (b.v as number) - (a.v as number));
  const left = u && at !== undefined ? u.valToPos(at / 1000, 'x') + u.bbox.left / devicePixelRatio : 0;
  return (
    <figure
      class="chart line"
      ref={box}
      tabIndex={0}
      role="group"
      aria-label={`${label}. ${t('chart.keys')}`}
      onKeyDown={key}
      style={{ minHeight: `${h}px` }}
      onClick={() => setSticky((x) => !x && cur !== null)}
    >
      <div ref={host} role="img" aria-label={label} />
      {cur !== null && at !== undefined && rows.length ? (
        <div
          class="hovercard"
          style={{ left: left > w / 2 ? `${Math.max(0, left - 252)}px` : `${left + 12}px`, top: '8px', width: '240px' }}
        >
          <div class="t3">{fmtFull(at, 's')}</div>
          {rows.slice(0, 10).map((r) => (
            <div class="r" key={r.s.label}>
              <i class="sw line" style={{ background: r.s.color, opacity: r.s.alpha ?? 1 }} />
              <span class="cut">{r.s.label}</span>
              <b>{fmt(r.v as number)}</b>
            </div>
          ))}
          {rows.length > 10 ? <div class="t3">{t('more_n', { n: rows.length - 10 })}</div> : null}
        </div>
      ) : null}
      <span class="sr" aria-live="polite">
        {at !== undefined
          ? `${fmtClock(at, 's')}, ${rows
              .slice(0, 3)
              .map((r) => `${r.s.label} ${fmt(r.v as number)}`)
              .join(', ')}`
          : ''}
      </span>
      {table ? (
        <ChartTable
          head={series.map((s) => s.label)}
          rows={times.map((x, i) => [x, ...series.map((s) => s.values[i] ?? null)])}
          fmt={fmt}
        />
      ) : null}
    </figure>
  );
}

/** Lone points between gaps would be invisible as lines. */
function sparse(v: (number | null)[]): boolean {
  let lone = 0;
  for (let i = 0; i < v.length; i++) if (v[i] !== null && v[i - 1] == null && v[i + 1] == null) lone++;
  return lone > 0 && lone >= v.filter((x) => x !== null).length / 4;
}

/** Clips a moment to the plot, in canvas pixels. */
function plotX(u: uPlot, ms: number): number {
  return Math.max(u.bbox.left, Math.min(u.bbox.left + u.bbox.width, u.valToPos(ms / 1000, 'x', true)));
}

/** Below the lines: alert spans and threshold lines. */
function paintUnder(u: uPlot, thresholds: Threshold[], spans: Span[]): void {
  const { ctx, bbox } = u;
  const px = devicePixelRatio;
  ctx.save();
  for (const s of spans) {
    const a = plotX(u, s.from);
    ctx.fillStyle = css(s.color);
    ctx.fillRect(a, bbox.top, Math.max(px, plotX(u, s.to) - a), bbox.height);
  }
  ctx.lineWidth = px;
  for (const th of thresholds) {
    const y = u.valToPos(th.value, 'y', true);
    if (y < bbox.top || y > bbox.top + bbox.height) continue;
    ctx.strokeStyle = css(th.color);
    ctx.setLineDash((th.dash ?? [6, 3]).map((d) => d * px));
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
  }
  ctx.restore();
}

/** Above the lines: labels with a halo, and the bracket of the evaluation window. */
function paintOver(
  u: uPlot,
  thresholds: Threshold[],
  bracket: { from: number; to: number; label: string } | undefined,
  font: string,
): void {
  const { ctx, bbox } = u;
  const px = devicePixelRatio;
  ctx.save();
  ctx.font = font.replace('11px', `${11 * px}px`);
  ctx.textAlign = 'left';
  ctx.textBaseline = 'alphabetic'; // the axes leave theirs behind
  ctx.lineJoin = 'round';
  for (const th of thresholds) {
    const y = u.valToPos(th.value, 'y', true);
    if (y < bbox.top || y > bbox.top + bbox.height) continue;
    ctx.lineWidth = 4 * px;
    ctx.strokeStyle = css('var(--bg)');
    ctx.strokeText(th.label, bbox.left + 6 * px, y - 4 * px);
    ctx.fillStyle = css(th.color);
    ctx.fillText(th.label, bbox.left + 6 * px, y - 4 * px);
  }
  if (bracket) {
    const a = plotX(u, bracket.from),
      b = plotX(u, bracket.to),
      y = bbox.top + 6 * px;
    ctx.strokeStyle = css('var(--text)');
    ctx.lineWidth = 1.5 * px;
    ctx.beginPath();
    ctx.moveTo(a, y + 5 * px);
    ctx.lineTo(a, y);
    ctx.lineTo(b, y);
    ctx.lineTo(b, y + 5 * px);
    ctx.stroke();
    ctx.font = `600 ${ctx.font}`;
    ctx.textAlign = 'right';
    ctx.fillStyle = css('var(--text)');
    ctx.fillText(bracket.label, b, y - 4 * px);
  }
  ctx.restore();
}

/** Colour and dash of the i-th line: eight slots, then dash patterns. */
export function lineStyle(i: number): { color: string; dash?: number[] } {
  const dash = [undefined, [6, 3], [2, 3]][Math.floor(i / 8) % 3];
  return { color: `var(--cat-${(i % 8) + 1})`, dash };
}
