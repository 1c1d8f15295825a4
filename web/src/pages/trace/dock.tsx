// SPDX-License-Identifier: Apache-2.0
// The trace's logs in time order, aligned to the trace.
import type { VNode } from 'preact';
import { useState } from 'preact/hooks';
import type { LogSearch } from '../../lib/api';
import { fmtInt } from '../../lib/format';
import { t } from '../../lib/i18n';
import { href } from '../../lib/router';
import { hexId, type TraceBlock } from '../../lib/traceblock';
import { Icon, logKind, St, type StatusKind } from '../../ui/icon';
import { Tabs } from '../../ui/parts';
import { ErrorPanel } from '../../ui/states';
import type { Loaded } from './index';

export interface TraceLog {
  id: string;
  off: number;
  kind: StatusKind;
  service: string;
  message: string;
  spanId: string;
}

function spanIdOf(attrs: Record<string, unknown> | undefined): string {
  const dd = attrs?.dd as Record<string, unknown> | undefined;
  const raw = attrs?.span_id ?? attrs?.['dd.span_id'] ?? dd?.span_id;
  if (raw === undefined || raw === null) return '';
  const s = String(raw);
  if (/^[0-9a-f]{16}$/i.test(s) && /[a-f]/i.test(s)) return s.toLowerCase();
  return /^\d{1,20}$/.test(s) ? hexId(BigInt(s)) : s.toLowerCase();
}

export function toTraceLogs(d: LogSearch, baseNs: bigint): TraceLog[] {
  const base = Number(baseNs / 1000n) / 1000;
  return d.data.map((e) => ({
    id: e.id,
    off: (Date.parse(e.attributes.timestamp) - base) * 1e6,
    kind: logKind(e.attributes.status),
    service: e.attributes.service ?? '',
    message: e.attributes.message ?? '',
    spanId: spanIdOf(e.attributes.attributes),
  }));
}

/** Logs by row: by their span id. */
export function logsBySpan(b: TraceBlock, logs: TraceLog[]): Map<number, TraceLog[]> {
  const out = new Map<number, TraceLog[]>();
  const want = new Set(logs.map((x) => x.spanId).filter(Boolean));
  if (!want.size) return out;
  const rows = new Map<string, number>();
  for (let i = 0; i < b.n; i++) {
    const id = hexId(b.spanId[i] as bigint);
    if (want.has(id)) rows.set(id, i);
  }
  for (const x of logs) {
    const r = rows.get(x.spanId);
    if (r !== undefined) out.set(r, [...(out.get(r) ?? []), x]);
  }
  return out;
}

export function offset(ns: number): string {
  const s = (Math.abs(ns) / 1e9).toFixed(3);
  return `${ns < 0 && s !== '0.000' ? '−' : '+'}${s} s`;
}

export function LogRows({
  l,
  logs,
  selected,
  onSpan,
}: {
  l: Loaded;
  logs: TraceLog[];
  selected: number;
  onSpan: (row: number) => void;
}): VNode {
  const id = selected >= 0 ? hexId(l.block.spanId[selected] as bigint) : '';
  const rowOf = (x: TraceLog): number => {
    if (!x.spanId) return -1;
    for (let i = 0; i < l.block.n; i++) if (hexId(l.block.spanId[i] as bigint) === x.spanId) return i;
    return -1;
  };
  return (
    <>
      {logs.map((x) => (
        <button
          type="button"
          key={x.id}
          class={`lrow inset ${id && x.spanId === id ? 'in' : ''}`}
          onClick={() => {
            const r = rowOf(x);
            if (r >= 0) onSpan(r);
          }}
        >
          <span class="num t2">{offset(x.off)}</span>
          <span class="pos" aria-hidden="true">
            <i style={{ left: `${Math.max(0, Math.min(100, (x.off / l.a.total) * 100))}%` }} />
          </span>
          <St k={x.kind} bare />
          <span class="cut t2">{x.service}</span>
          <span class="cut mono msg" title={x.message}>
            {x.message}
          </span>
        </button>
      ))}
    </>
  );
}

export function Dock({
  l,
  logs,
  error,
  retry,
  selected,
  onSpan,
}: {
  l: Loaded;
  logs: TraceLog[] | undefined;
  error: Error | null;
  retry: () => void;
  selected: number;
  onSpan: (row: number) => void;
}): VNode {
  const [open, setOpen] = useState(() => !matchMedia('(max-width: 767px)').matches);
  const errors = (logs ?? []).filter((x) => x.kind === 'error').length;
  return (
    <section class={`dock ${open ? '' : 'closed'}`} aria-label={t('trace.logs')}>
      <div class="dockbar">
        <Tabs
          ctl="dock"
          closed={!open}
          label={t('trace.logs')}
          value="logs"
          onPick={() => setOpen(true)}
          tabs={[{ id: 'logs', label: t('nav.logs'), n: logs ? fmtInt(logs.length) : null }]}
        />
        {errors ? <St k="error" word={errors} /> : null}
        <span class="end" />
        <a class="btn quiet sm" href={href('/logs', { q: `trace_id:${l.block.traceId}` })}>
          {t('trace.in_logs')}
        </a>
        <button
          class="iconbtn sm"
          type="button"
          aria-label={t(open ? 'trace.dock_close' : 'trace.dock_open')}
          aria-expanded={open}
          onClick={() => setOpen(!open)}
        >
          <Icon n={open ? 'down' : 'expand'} cls="s14" />
        </button>
      </div>
      {open ? (
        <div class="scroll" id="dock-panel" role="tabpanel" aria-labelledby="dock-logs" tabIndex={0}>
          {error ? (
            <ErrorPanel error={error} retry={retry} />
          ) : logs === undefined ? null : logs.length ? (
            <LogRows l={l} logs={logs} selected={selected} onSpan={onSpan} />
          ) : (
            <div class="dock-empty t2 fs12">
              <Icon n="logs" cls="s14" />
              {t('trace.no_logs')} <code>DD_LOGS_INJECTION=true</code>
            </div>
          )}
        </div>
      ) : null}
    </section>
  );
}
