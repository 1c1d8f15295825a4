// SPDX-License-Identifier: Apache-2.0
// Single spans instead of whole traces: newest first, each leads to its place in its trace.
import type { VNode } from 'preact';
import { useState } from 'preact/hooks';
import { postJson, useQuery, type Query } from '../../lib/api';
import { serverNow } from '../../lib/boot';
import { fmtDur } from '../../lib/format';
import { t } from '../../lib/i18n';
import { useKeys } from '../../lib/keys';
import { entryState, go, here, href, setEntryState } from '../../lib/router';
import { assignSlots, slotVar } from '../../lib/slots';
import { fmtClock, fmtDay, sameDay, timeTitle } from '../../lib/time';
import { hexId } from '../../lib/traceblock';
import { linkTo } from '../../lib/url';
import type { View } from '../../lib/view';
import { St } from '../../ui/icon';
import { Await, Empty, SkeletonRows } from '../../ui/states';
import { toast } from '../../ui/toast';

interface SpanItem {
  id: string;
  attributes: {
    start_timestamp: string;
    service?: string;
    operation_name?: string;
    resource_name?: string;
    env?: string;
    status?: string;
    type?: string;
    trace_id: string;
    span_id: string;
    custom?: { duration?: number };
  };
}
export interface SpanSearch {
  data: SpanItem[];
  meta?: { page?: { after?: string } };
}

const LIMIT = 100;
const MAX = 2000;

function body(q: string, v: View, cursor?: string): unknown {
  const filter = { query: q || '*', from: String(v.range.from_ms), to: String(v.range.to_ms) };
  return {
    data: {
      type: 'search_request',
      attributes: { filter, sort: '-timestamp', page: { limit: LIMIT, ...(cursor ? { cursor } : {}) } },
    },
  };
}

/** Ids come as decimal numbers from the public API; links use hex. */
function hex(id: string): string {
  return /^\d{1,20}$/.test(id) && id.length !== 16 ? hexId(BigInt(id)) : id;
}

export function useSpans(q: string, v: View, on: boolean): Query<SpanSearch> {
  return useQuery(on ? `spans|${q}|${v.key}` : null, (s) =>
    postJson<SpanSearch>('/api/v2/spans/events/search', body(q, v), s),
  );
}

export function SpanList({ res, q, v }: { res: Query<SpanSearch>; q: string; v: View }): VNode {
  const key = `spans|${q}|${v.key}`;
  const [extra, setExtra] = useState<{ key: string; rows: SpanItem[]; cursor?: string }>({ key: '', rows: [] });
  const [busy, setBusy] = useState(false);
  const [cur, setCur] = useState(() => entryState<number>('row') ?? -1);
  const mine = extra.key === key ? extra.rows : [];
  const rows = [...(res.data?.data ?? []), ...mine];
  const cursor = extra.key === key ? extra.cursor : res.data?.meta?.page?.after;
  const more =
    cursor && !res.loading && rows.length < MAX
      ? (): void => {
          if (busy) return;
          setBusy(true);
          postJson<SpanSearch>('/api/v2/spans/events/search', body(q, v, cursor))
            .then((d) =>
              setExtra({ key, rows: [...mine, ...d.data], cursor: d.data.length ? d.meta?.page?.after : undefined }),
            )
            .catch((e: Error) => toast(e.message))
            .finally(() => setBusy(false));
        }
      : null;
  const link = (r: SpanItem): { path: string; span: string } => ({
    path: `/trace/${hex(r.attributes.trace_id)}`,
    span: hex(r.attributes.span_id),
  });
  const open = (i: number): boolean => {
    const r = rows[i];
    if (!r) return false;
    setEntryState('row', i);
    const to = link(r);
    go(linkTo(here().params, to.path, { span: to.span }));
    return true;
  };
  const move = (d: number): void => {
    const i = Math.max(0, Math.min(rows.length - 1, cur + d));
    setCur(i);
    document.getElementById(`sp-${i}`)?.scrollIntoView({ block: 'nearest' });
    if (i >= rows.length - 5) more?.();
  };
  useKeys([
    { keys: 'j', scope: 'list', label: 'keys.next_row', run: () => move(1) },
    { keys: 'k', scope: 'list', label: 'keys.prev_row', run: () => move(-1) },
    { keys: 'Enter', scope: 'list', label: 'keys.open_row', run: () => open(cur) },
  ]);
  const weight = new Map<string, number>();
  for (const r of rows)
    weight.set(
      r.attributes.service ?? '',
      (weight.get(r.attributes.service ?? '') ?? 0) + (r.attributes.custom?.duration ?? 0),
    );
  const slots = assignSlots([...weight].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).map((x) => x[0]));
  const longest = Math.max(1, ...rows.map((r) => r.attributes.custom?.duration ?? 0));
  const now = serverNow();
  return (
    <Await q={res} skeleton={<SkeletonRows rows={18} cols={[96, 0, 140, 60]} />}>
      {() =>
        rows.length === 0 ? (
          <Empty icon="filter" title={t('tr.no_spans')}>
            {t('tr.no_spans_sub')}
          </Empty>
        ) : (
          <div
            class="scroll list"
            tabIndex={0}
            role="region"
            aria-label={t('tr.span_list')}
            onScroll={(e) => {
              const el = e.currentTarget;
              if (el.scrollTop + el.clientHeight > el.scrollHeight - 400) more?.();
            }}
          >
            <table class="tbl traces">
              <thead>
                <tr>
                  <th scope="col" style={{ width: '116px' }} class="c-start" aria-sort="descending">
                    {t('tr.start')}
                  </th>
                  <th scope="col" class="c-root">
                    {t('span.span')}
                  </th>
                  <th scope="col" style={{ width: '148px' }} class="c-svcs">
                    {t('home.service')}
                  </th>
                  <th scope="col" style={{ width: '164px' }} class="c-dur">
                    {t('tr.duration')}
                  </th>
                  <th scope="col" style={{ width: '84px' }} class="c-sp">
                    {t('mon.type')}
                  </th>
                  <th scope="col" style={{ width: '80px' }} class="c-err">
                    {t('logs.status')}
                  </th>
                  <th scope="col" style={{ width: '72px' }} class="c-env">
                    env
                  </th>
                </tr>
              </thead>
              <tbody>
                {rows.map((r, i) => {
                  const a = r.attributes,
                    ms = Date.parse(a.start_timestamp),
                    to = link(r),
                    d = a.custom?.duration ?? 0;
                  return (
                    <tr
                      key={r.id}
                      id={`sp-${i}`}
                      class={i === cur ? 'sel is-cur' : ''}
                      aria-selected={i === cur}
                      onClick={(e) => {
                        if (!(e.target as Element).closest('a')) open(i);
                      }}
                    >
                      <td class="c-start t2" title={timeTitle(ms, now)}>
                        {sameDay(ms, now) ? '' : `${fmtDay(ms)} `}
                        {fmtClock(ms, 'ms')}
                      </td>
                      <td class="c-root">
                        <a class="rowlink" href={href(to.path, { span: to.span })}>
                          <i class="sw" style={{ background: slotVar(slots.get(a.service ?? '')) }} />
                          {a.operation_name} <span class="t3">{a.resource_name}</span>
                        </a>
                      </td>
                      <td class="c-svcs t2">{a.service}</td>
                      <td class="c-dur">
                        <span class="durcell">
                          <span>{fmtDur(d)}</span>
                          <span class="track">
                            <i style={{ width: `${(d / longest) * 100}%` }} />
                          </span>
                        </span>
                      </td>
                      <td class="c-sp t3">{a.type}</td>
                      <td class="c-err">
                        {a.status === 'error' ? (
                          <St k="error" word={t('tr.error')} />
                        ) : (
                          <span class="t3">{a.status}</span>
                        )}
                      </td>
                      <td class="c-env t3">{a.env}</td>
                    </tr>
                  );
                })}
              </tbody>
            </table>
            {busy ? (
              <SkeletonRows rows={3} cols={[96, 0, 140]} />
            ) : more ? (
              <button class="btn quiet sm loadmore" type="button" onClick={more}>
                {t('load_more')}
              </button>
            ) : null}
          </div>
        )
      }
    </Await>
  );
}
