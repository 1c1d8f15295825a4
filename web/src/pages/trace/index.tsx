// SPDX-License-Identifier: Apache-2.0
// One trace: facts, findings, minimap, waterfall, span panel, its logs. Never uses the time picker.
import type { VNode } from 'preact';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { ApiError, getBytes, postJson, useQuery, Y, type LogSearch } from '../../lib/api';
import { fmtBytes, fmtDur, fmtInt } from '../../lib/format';
import { t } from '../../lib/i18n';
import { useKeys } from '../../lib/keys';
import { href, setParams } from '../../lib/router';
import { assignSlots, slotVar } from '../../lib/slots';
import { fmtFull } from '../../lib/time';
import { BLOCK, decodeTrace, FLAG, hexId, type TraceBlock } from '../../lib/traceblock';
import { useView } from '../../lib/view';
import { analyse, visibleRows, type Analysis, type Finding, type Row } from '../../lib/waterfall';
import { Frame } from '../../ui/frame';
import { Icon, St } from '../../ui/icon';
import { CopyButton } from '../../ui/parts';
import { Select } from '../../ui/popover';
import { Empty, ErrorPanel, SkeletonRows } from '../../ui/states';
import { copyText } from '../../ui/toast';
import { Dock, logsBySpan, type TraceLog, toTraceLogs } from './dock';
import { Minimap } from './minimap';
import { SpanPanel } from './panel';
import { Waterfall } from './rows';

export interface Loaded {
  block: TraceBlock;
  a: Analysis;
  slots: Map<string, number>;
}

function rowSpan(r: Row | undefined): number {
  return r ? (r.kind === 'group' ? r.g.first : r.i) : -1;
}

const FIND_ICON: Record<Finding['kind'], string> = {
  cold: 'cold',
  repeat: 'repeat',
  queue: 'queue',
  gap: 'gap',
  slow: 'databases',
  error: 'st-error',
};

function Findings({ l, onPick, picked }: { l: Loaded; onPick: (row: number) => void; picked: number }): VNode | null {
  const list = l.a.findings;
  if (!list.length) return null;
  const adv = list.find((f) => f.row === picked) ?? (list[0] as Finding);
  return (
    <div class="insights" role="region" aria-label={t('trace.stands_out')}>
      {list.map((f, i) => (
        <button
          key={i}
          class={`insight ${f.kind === 'error' ? 'is-error' : ''}`}
          type="button"
          aria-pressed={f.row === picked}
          onClick={() => onPick(f.row)}
        >
          <Icon n={FIND_ICON[f.kind]} />
          <span class="cut lbl">
            {f.kind === 'repeat' ? `${f.label} ×${f.n}` : f.kind === 'slow' ? f.label : t(`find.${f.kind}`)}
          </span>
          <span class="n">{f.kind === 'error' ? f.label : `${fmtDur(f.ns)} · ${Math.round(f.share * 100)} %`}</span>
        </button>
      ))}
      <span class="adv">{t(`find.${adv.kind}_adv`, { label: adv.label, n: adv.n ?? 0 })}</span>
    </div>
  );
}

function Facts({ l }: { l: Loaded }): VNode {
  const { block: b, a } = l;
  const root = a.rootEnd - (b.startOff[0] ?? 0),
    async = a.total - a.rootEnd;
  let cold = false;
  for (let i = 0; i < b.n; i++) if ((b.flag[i] as number) & FLAG.cold) cold = true;
  return (
    <div class="hstack wide nowrap facts">
      <span class="hstack tight">
        <b class="strong">{fmtDur(root)}</b>
        {async > 1e6 ? (
          <span class="t3">
            +{fmtDur(async)} {t('trace.async')}
          </span>
        ) : null}
      </span>
      <span>
        {fmtInt(b.nTotal)} <span class="t2">{t('trace.spans', { n: b.nTotal })}</span>
      </span>
      {a.errors ? (
        <St k="error" word={t('trace.errors', { n: a.errors })} />
      ) : (
        <St k="ok" word={t('trace.no_errors')} />
      )}
      {cold ? (
        <span class="hstack tight t2">
          <Icon n="cold" cls="s14" />
          {t('trace.cold')}
        </span>
      ) : null}
      <span class="t2 hide-narrow">{fmtFull(Number(b.baseNs / 1000000n))}</span>
    </div>
  );
}

function Legend({ l, svc }: { l: Loaded; svc: string }): VNode {
  return (
    <div class="legend" role="list" aria-label={t('trace.services')}>
      {l.block.tail.services.map((s) => (
        <span
          key={s.name}
          role="listitem"
          title={t('trace.svc_hint', { n: s.spans, d: fmtDur(s.self_ns) })}
          class={svc && svc !== s.name ? 'is-off' : ''}
        >
          <i class="sw" style={{ background: slotVar(l.slots.get(s.name)) }} />
          {s.name}
          {s.errors ? (
            <span class="c-error">
              <Icon n="st-error" cls="s12" />
            </span>
          ) : null}
        </span>
      ))}
    </div>
  );
}

/** Prunes the tree to one service. */
function ServiceFilter({ l, svc }: { l: Loaded; svc: string }): VNode | null {
  const list = l.block.tail.services;
  if (list.length < 2) return null;
  const choices = [
    { value: '', label: t('all'), text: t('all') },
    ...list.map((s) => ({
      value: s.name,
      text: s.name,
      end: fmtInt(s.spans),
      label: (
        <span class="svc">
          <i class="sw" style={{ background: slotVar(l.slots.get(s.name)) }} />
          {s.name}
        </span>
      ),
    })),
  ];
  return (
    <Select
      k={t('scope.service')}
      label={t('scope.service')}
      value={svc}
      shown={svc || t('all')}
      choices={choices}
      onPick={(x) => setParams({ svc: x })}
    />
  );
}

function parseWindow(w: string | undefined, total: number): [number, number] {
  const m = /^([\d.]+)-([\d.]+)$/.exec(w ?? '');
  if (!m) return [0, total];
  const a = Math.max(0, Number(m[1]) * 1e6),
    b = Math.min(total, Number(m[2]) * 1e6);
  return b - a > 1e3 ? [a, b] : [0, total];
}

function TraceView({
  l,
  logs,
  logsError,
  retryLogs,
}: {
  l: Loaded;
  logs: TraceLog[] | undefined;
  logsError: Error | null;
  retryLogs: () => void;
}): VNode {
  const v = useView();
  const { block: b, a } = l;
  const p = v.params;
  const [closed, setClosed] = useState<Set<number>>(new Set());
  const [unfolded, setUnfolded] = useState<Set<number>>(new Set());
  const [showCritical, setShowCritical] = useState(true);
  const svcIndex = p.svc ? b.tail.services.findIndex((s) => s.name === p.svc) : -1;
  const rows = useMemo(
    () => visibleRows(b, a, { closed, unfolded, service: svcIndex }),
    [b, a, closed, unfolded, svcIndex],
  );
  const win = parseWindow(p.w, a.total);
  const setWin = (x: [number, number] | null): void =>
    setParams(
      { w: x && (x[0] > 0 || x[1] < a.total) ? `${(x[0] / 1e6).toFixed(3)}-${(x[1] / 1e6).toFixed(3)}` : null },
      true,
    );
  const spanRow = useMemo(() => {
    if (!p.span) return -1;
    for (let i = 0; i < b.n; i++) if (hexId(b.spanId[i] as bigint) === p.span) return i;
    return -1;
  }, [b, p.span]);
  const [cursor, setCursor] = useState(-1);
  const cur = Math.min(cursor, rows.length - 1);
  const scrollTo = useRef<((row: number) => void) | null>(null);
  /** Span reached last: two key presses may come before the page is drawn anew. */
  const reached = useRef(-1);

  const indexOf = (span: number): number =>
    rows.findIndex((r) => (r.kind === 'group' ? r.g.rows.includes(span) : r.i === span));
  /** Opens what hides a span, so that it can be drawn. */
  const reveal = (span: number): void => {
    const g = a.groupOf.get(span);
    if (g && g.first !== span) setUnfolded((s) => new Set(s).add(g.first));
    setClosed((c) => {
      const n = new Set(c);
      for (let x = b.parent[span] as number; x >= 0; x = b.parent[x] as number) n.delete(x);
      return n;
    });
  };
  const select = (span: number, open: boolean, replace = false): void => {
    reveal(span);
    if (open || p.span) setParams({ span: hexId(b.spanId[span] as bigint) }, replace);
    pending.current = span;
    reached.current = span;
  };
  const pending = useRef(-1);
  useEffect(() => {
    if (pending.current < 0) return;
    const i = indexOf(pending.current);
    pending.current = -1;
    if (i >= 0) {
      setCursor(i);
      scrollTo.current?.(i);
    }
  });
  useEffect(() => {
    if (spanRow < 0) return;
    reveal(spanRow);
    pending.current = spanRow;
    setCursor((c) => c);
  }, [spanRow]);

  const matches = useMemo(() => {
    const needle = (p.hl ?? '').trim().toLowerCase();
    if (!needle) return null;
    const out: number[] = [];
    for (let i = 0; i < b.n; i++) {
      if (
        `${b.str(b.name[i] as number)} ${b.str(b.resource[i] as number)} ${b.str(b.service[i] as number)}`
          .toLowerCase()
          .includes(needle)
      )
        out.push(i);
    }
    return out;
  }, [b, p.hl]);
  const jump = (list: number[], d: number): boolean => {
    if (!list.length) return false;
    const at = reached.current >= 0 ? reached.current : rowSpan(rows[cur]);
    const next =
      d > 0
        ? (list.find((i) => i > at) ?? list[0])
        : ([...list].reverse().find((i) => i < at) ?? list[list.length - 1]);
    select(next as number, false, true);
    return true;
  };
  const move = (d: number): void => {
    const i = Math.max(0, Math.min(rows.length - 1, cur + d));
    setCursor(i);
    scrollTo.current?.(i);
    const r = rows[i];
    reached.current = rowSpan(r);
    if (p.span && r?.kind === 'span') setParams({ span: hexId(b.spanId[r.i] as bigint) }, true);
  };
  const toggle = (r: Row, open?: boolean): void => {
    if (r.kind === 'group')
      setUnfolded((s) => {
        const n = new Set(s);
        if (open !== false) n.add(r.g.first);
        return n;
      });
    else if (r.kind === 'hidden') setParams({ svc: null });
    else if ((b.endOf[r.i] as number) > r.i + 1)
      setClosed((s) => {
        const n = new Set(s);
        const close = open === undefined ? !n.has(r.i) : !open;
        if (close) n.add(r.i);
        else n.delete(r.i);
        return n;
      });
  };
  const openRow = (): void => {
    const next = pending.current >= 0 ? indexOf(pending.current) : cur;
    const r = rows[next < 0 ? cur : next];
    if (!r) return;
    if (r.kind === 'span') select(r.i, true);
    else toggle(r);
  };
  const left = (): void => {
    const r = rows[cur];
    if (!r) return;
    if (r.kind === 'span') {
      const g = a.groupOf.get(r.i);
      if ((b.endOf[r.i] as number) > r.i + 1 && !closed.has(r.i)) return toggle(r, false);
      if (g && unfolded.has(g.first)) {
        setUnfolded((s) => {
          const n = new Set(s);
          n.delete(g.first);
          return n;
        });
        pending.current = g.first;
        return;
      }
      const up = b.parent[r.i] as number;
      if (up >= 0) select(up, false, true);
    }
  };
  const zoom = (f: number): void => {
    const [x, y] = win,
      mid = (x + y) / 2,
      half = ((y - x) / 2) * f;
    if (half < 500) return;
    setWin([Math.max(0, mid - half), Math.min(a.total, mid + half)]);
  };
  const pan = (f: number): void => {
    const [x, y] = win,
      d = (y - x) * f;
    const by = d < 0 ? Math.max(d, -x) : Math.min(d, a.total - y);
    setWin([x + by, y + by]);
  };
  const errorRows = useMemo(() => {
    const o: number[] = [];
    for (let i = 0; i < b.n; i++) if ((b.flag[i] as number) & FLAG.error) o.push(i);
    return o;
  }, [b]);
  useKeys([
    { keys: 'j', scope: 'trace', label: 'keys.next_row', run: () => move(1) },
    { keys: 'k', scope: 'trace', label: 'keys.prev_row', run: () => move(-1) },
    { keys: 'Home', scope: 'trace', run: () => move(-rows.length) },
    { keys: 'End', scope: 'trace', run: () => move(rows.length) },
    { keys: 'ArrowLeft', scope: 'trace', label: 'keys.fold', run: left },
    {
      keys: 'ArrowRight',
      scope: 'trace',
      label: 'keys.unfold',
      run: () => {
        const r = rows[cur];
        if (r) toggle(r, true);
      },
    },
    { keys: 'Enter', scope: 'trace', label: 'keys.open_span', run: openRow },
    {
      keys: 'Esc',
      scope: 'trace',
      label: 'keys.close',
      run: () => {
        if (!p.span) return false;
        setParams({ span: null });
        return true;
      },
    },
    { keys: 'w', scope: 'trace', label: 'keys.zoom_in', run: () => zoom(0.6) },
    { keys: 's', scope: 'trace', label: 'keys.zoom_out', run: () => zoom(1 / 0.6) },
    { keys: 'a', scope: 'trace', label: 'keys.pan_left', run: () => pan(-0.25) },
    { keys: 'd', scope: 'trace', label: 'keys.pan_right', run: () => pan(0.25) },
    { keys: '0', scope: 'trace', label: 'keys.fit', run: () => setWin(null) },
    { keys: 'n', scope: 'trace', label: 'keys.next_match', run: () => jump(matches ?? [], 1) },
    { keys: '⇧N', scope: 'trace', label: 'keys.prev_match', run: () => jump(matches ?? [], -1) },
    { keys: '⇧E', scope: 'trace', label: 'keys.next_error', run: () => jump(errorRows, 1) },
    { keys: 'c', scope: 'trace', label: 'keys.critical', run: () => setShowCritical((x) => !x) },
    { keys: 'l', scope: 'trace', label: 'keys.to_logs', run: () => document.getElementById('dock-logs')?.focus() },
    {
      keys: '/',
      scope: 'trace',
      label: 'keys.find_in_trace',
      run: () => document.getElementById('find-trace')?.focus(),
    },
  ]);
  const bySpan = useMemo(() => logsBySpan(b, logs ?? []), [b, logs]);
  const missing = (b.flags & BLOCK.missing) !== 0;
  let orphans = 0;
  if (missing) for (let i = 0; i < b.n; i++) if (b.parent[i] === -2) orphans++;
  const jumpTo = (span: number): void => select(span, true);
  return (
    <>
      <Findings l={l} onPick={jumpTo} picked={spanRow} />
      {missing ? (
        <div class="banner warn">
          <Icon n="st-warn" cls="s14 c-warn" />
          <span class="grow">{t('trace.orphans', { n: orphans })}</span>
        </div>
      ) : null}
      {b.n < b.nTotal ? (
        <div class="banner info">
          <Icon n="st-info" cls="s14 c-info" />
          <span class="grow">{t('trace.drawn', { n: fmtInt(b.n), total: fmtInt(b.nTotal) })}</span>
        </div>
      ) : null}
      <div class="split">
        <div class="main">
          <div class="mini">
            <div class="key">
              <Legend l={l} svc={p.svc ?? ''} />
            </div>
            <Minimap l={l} win={win} onWin={setWin} />
          </div>
          <Waterfall
            l={l}
            rows={rows}
            win={win}
            cur={cur}
            selected={spanRow}
            matches={matches}
            critical={showCritical}
            logs={bySpan}
            closed={closed}
            scrollTo={scrollTo}
            onCursor={(i) => {
              setCursor(i);
              reached.current = rowSpan(rows[i]);
            }}
            onOpen={(i) => {
              setCursor(i);
              const r = rows[i];
              if (r?.kind === 'span') select(r.i, true);
              else if (r) toggle(r);
            }}
            onToggle={toggle}
          />
          <Dock l={l} logs={logs} error={logsError} retry={retryLogs} selected={spanRow} onSpan={jumpTo} />
        </div>
        {spanRow >= 0 ? (
          <SpanPanel
            l={l}
            row={spanRow}
            logs={bySpan.get(spanRow) ?? []}
            onSpan={jumpTo}
            onClose={() => setParams({ span: null })}
          />
        ) : null}
      </div>
    </>
  );
}

export default function Trace({ id }: { id: string }): VNode {
  const v = useView();
  const q = useQuery(`trace|${id}`, async (s) => {
    const block = decodeTrace(await getBytes(`${Y}/traces/${encodeURIComponent(id)}`, s));
    const a = analyse(block);
    return { block, a, slots: assignSlots(block.tail.services.map((x) => x.name)) } satisfies Loaded;
  });
  const l = q.data;
  const base = l ? Number(l.block.baseNs / 1000000n) : 0;
  const logs = useQuery(l ? `tracelogs|${l.block.traceId}` : null, (s) =>
    postJson<LogSearch>(
      '/api/v2/logs/events/search',
      {
        filter: {
          query: `trace_id:${l?.block.traceId}`,
          from: String(base - 36e5),
          to: String(base + Math.ceil((l?.a.total ?? 0) / 1e6) + 36e5),
        },
        sort: 'timestamp',
        page: { limit: 1000 },
      },
      s,
    ).then((d) => toTraceLogs(d, l?.block.baseNs ?? 0n)),
  );
  const root =
    l && l.block.n
      ? {
          res: l.block.str(l.block.resource[0] as number) || l.block.str(l.block.name[0] as number),
          svc: l.block.str(l.block.service[0] as number),
        }
      : null;
  const title = root?.res ?? (q.error ? t('trace.one') : t('trace.loading'));
  const shortId = l ? `${l.block.traceId.slice(0, 8)}…${l.block.traceId.slice(-8)}` : id;
  const keys = (k: string[], label: string): VNode => (
    <span>
      {k.map((x) => (
        <span key={x} class="kbd">
          {x}
        </span>
      ))}{' '}
      {t(label)}
    </span>
  );
  return (
    <Frame
      v={v}
      page="traces"
      fixed
      noTime
      title={title}
      crumb={{ label: t('nav.traces'), path: '/traces' }}
      busy={q.loading && q.late}
      badges={
        root ? (
          <>
            <span class="badge hide-tablet">
              <i class="sw" style={{ background: slotVar(l?.slots.get(root.svc)) }} />
              {root.svc}
            </span>
            <button
              class="badge hide-tablet mono"
              type="button"
              title={t('trace.copy_id')}
              onClick={() => void copyText(l?.block.traceId ?? id, t('copied'))}
            >
              {shortId} <Icon n="copy" />
            </button>
          </>
        ) : undefined
      }
      tools={
        l ? (
          <span class="inputwrap hide-tablet findtrace">
            <Icon n="search" cls="s14" />
            <input
              id="find-trace"
              class="input"
              aria-label={t('trace.find')}
              placeholder={t('trace.find')}
              value={v.params.hl ?? ''}
              onInput={(e) => setParams({ hl: e.currentTarget.value }, true)}
              onKeyDown={(e) => {
                if (e.key === 'Escape' || (e.key === 'Enter' && !e.isComposing)) {
                  e.preventDefault();
                  e.stopPropagation();
                  e.currentTarget.blur();
                  if (e.key === 'Escape') setParams({ hl: null }, true);
                }
              }}
            />
          </span>
        ) : undefined
      }
      scope={l ? <Facts l={l} /> : <span class="t3 fs12 mono cut">{id}</span>}
      timeNote={
        l ? (
          <>
            <span class="fs12 t3 hide-narrow nowrap">
              {[
                l.block.tail.env ? `env ${l.block.tail.env}` : '',
                (l.block.flags & BLOCK.skew) !== 0 ? t('trace.skew') : '',
              ]
                .filter(Boolean)
                .join(' · ')}
            </span>
            <ServiceFilter l={l} svc={v.params.svc ?? ''} />
          </>
        ) : undefined
      }
      statusLeft={
        <>
          {keys(['j', 'k'], 'keys.rows')}
          {keys(['w', 's'], 'keys.zoom')}
          {keys(['⇧E'], 'keys.next_error')}
          {keys(['c'], 'keys.critical')}
          {keys(['?'], 'keys.all')}
        </>
      }
      statusRight={
        l ? t('trace.loaded', { n: fmtInt(l.block.n), total: fmtInt(l.block.nTotal), b: fmtBytes(l.block.bytes) }) : ''
      }
    >
      {l ? (
        l.block.n ? (
          <TraceView l={l} logs={logs.data} logsError={logs.error} retryLogs={logs.retry} />
        ) : (
          <Empty icon="traces" title={t('trace.empty')} />
        )
      ) : q.error ? (
        q.error instanceof ApiError && q.error.status === 404 ? (
          <Empty
            icon="traces"
            title={t('trace.unknown')}
            acts={
              <>
                <button class="btn sm primary" type="button" onClick={q.retry}>
                  {t('retry')}
                </button>
                <a class="btn sm" href={href('/traces')}>
                  {t('nav.traces')}
                </a>
                <a class="btn sm" href={href('/logs', { q: `trace_id:${id}` })}>
                  {t('trace.its_logs')}
                </a>
              </>
            }
          >
            {t('trace.unknown_sub')}
            <br />
            <code>{id}</code> <CopyButton text={id} />
          </Empty>
        ) : (
          <ErrorPanel error={q.error} retry={q.retry} />
        )
      ) : (
        <div aria-busy="true">{q.late ? <SkeletonRows rows={24} cols={[300, 0]} /> : null}</div>
      )}
    </Frame>
  );
}
