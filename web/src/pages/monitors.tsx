// SPDX-License-Identifier: Apache-2.0
// Monitors: list with state, filtered by words and state.
import type { VNode } from 'preact';
import { useState } from 'preact/hooks';
import { getJson, useInterval, useQuery, type Monitor } from '../lib/api';
import { fmtAge, fmtInt } from '../lib/format';
import { serverNow } from '../lib/boot';
import { t } from '../lib/i18n';
import { useKeys } from '../lib/keys';
import { entryState, go, here, href, setEntryState, setParams } from '../lib/router';
import { linkTo } from '../lib/url';
import { useView } from '../lib/view';
import { Frame } from '../ui/frame';
import { Icon, St, stateKind, stateWord } from '../ui/icon';
import { CopyButton } from '../ui/parts';
import { QueryBar, type QuerySource } from '../ui/querybar';
import { Await, Empty, SkeletonRows } from '../ui/states';

const STATES = ['Alert', 'Warn', 'No Data', 'OK'];
const RANK: Record<string, number> = { Alert: 0, Warn: 1, 'No Data': 2, Ignored: 4, Skipped: 4, OK: 3 };

function groupsIn(m: Monitor, state: string): number {
  return Object.values(m.state?.groups ?? {}).filter((g) => g.status === state).length;
}

const EXAMPLE = `curl -X POST "$YAGURA/api/v1/monitor" \\
  -H "DD-API-KEY: $DD_API_KEY" -H "DD-APPLICATION-KEY: $DD_APP_KEY" \\
  -H "Content-Type: application/json" -d '{
  "name": "[prod] error rate of {{service.name}}",
  "type": "query alert",
  "query": "avg(last_5m):default_zero(sum:aws.lambda.errors{env:prod} by {service}) / default_zero(sum:aws.lambda.invocations{env:prod} by {service}) > 0.05",
  "message": "{{#is_alert}}{{service.name}} fails: {{value}}{{/is_alert}} @webhook-ops",
  "options": { "thresholds": { "critical": 0.05 } }
}'`;

export default function Monitors(): VNode {
  const v = useView();
  const q = (v.params.q ?? '').trim();
  const state = v.params.state ?? '';
  const list = useQuery('monitors', (s) => getJson<Monitor[]>('/api/v1/monitor?group_states=all', s));
  useInterval(10_000, list.retry);
  const [cur, setCur] = useState(() => entryState<number>('row') ?? -1);
  const all = list.data ?? [];
  const words = q.toLowerCase().split(/\s+/).filter(Boolean);
  const found = all.filter(
    (m) =>
      words.every((w) => `${m.name} ${m.query} ${(m.tags ?? []).join(' ')} ${m.type}`.toLowerCase().includes(w)) &&
      (!v.env || `${m.query} ${(m.tags ?? []).join(' ')}`.includes(`env:${v.env}`)) &&
      (!v.service || `${m.query} ${(m.tags ?? []).join(' ')}`.includes(v.service)),
  );
  const rows = found
    .filter((m) => !state || (m.overall_state ?? 'No Data') === state)
    .sort(
      (a, b) => (RANK[a.overall_state ?? ''] ?? 5) - (RANK[b.overall_state ?? ''] ?? 5) || (a.name < b.name ? -1 : 1),
    );
  const count = (s: string): number => found.filter((m) => (m.overall_state ?? 'No Data') === s).length;
  const open = (i: number): boolean => {
    const m = rows[i];
    if (m) {
      setEntryState('row', i);
      go(linkTo(here().params, `/monitors/${m.id}`));
    }
    return !!m;
  };
  const move = (d: number): void => {
    const i = Math.max(0, Math.min(rows.length - 1, cur + d));
    setCur(i);
    document.getElementById(`mon-${i}`)?.scrollIntoView({ block: 'nearest' });
  };
  useKeys([
    { keys: 'j', scope: 'list', label: 'keys.next_row', run: () => move(1) },
    { keys: 'k', scope: 'list', label: 'keys.prev_row', run: () => move(-1) },
    { keys: 'Enter', scope: 'list', label: 'keys.open_row', run: () => open(cur) },
  ]);
  const source: QuerySource = {
    parse: () => ({ tokens: [], error: null }),
    suggest: async () => ({ start: 0, end: 0, items: [] }),
    recent: 'monitors',
  };
  return (
    <Frame
      v={v}
      page="monitors"
      title={t('nav.monitors')}
      noTime
      busy={list.loading && list.late && !list.data}
      query={<QueryBar value={q} source={source} onSubmit={(x) => setParams({ q: x })} placeholder={t('mon.find')} />}
      statusRight={list.data ? t('mon.n', { n: fmtInt(all.length) }) : ''}
    >
      <div class="listbar">
        <span class="seg sm" role="group" aria-label={t('mon.by_state')}>
          <button type="button" aria-pressed={!state} onClick={() => setParams({ state: null })}>
            {t('all')} <span class="t3">{found.length}</span>
          </button>
          {STATES.map((s) => (
            <button
              key={s}
              type="button"
              aria-pressed={state === s}
              onClick={() => setParams({ state: state === s ? null : s })}
            >
              <St
                k={stateKind(s)}
                word={
                  <>
                    {stateWord(s)} <span class="t3">{count(s)}</span>
                  </>
                }
              />
            </button>
          ))}
        </span>
      </div>
      <Await q={list} skeleton={<SkeletonRows rows={10} cols={[80, 0, 120, 0, 80]} />}>
        {() =>
          rows.length === 0 ? (
            all.length === 0 ? (
              <Empty icon="monitors" title={t('mon.none')} acts={<CopyButton word text={EXAMPLE} />}>
                {t('mon.none_sub')}
                <pre class="code left">{EXAMPLE}</pre>
              </Empty>
            ) : (
              <Empty
                icon="filter"
                title={t('mon.no_match')}
                acts={
                  <button
                    class="btn sm"
                    type="button"
                    onClick={() => setParams({ q: null, state: null, env: null, service: null })}
                  >
                    {t('drop_filters')}
                  </button>
                }
              />
            )
          ) : (
            <table class="tbl roomy mons">
              <thead>
                <tr>
                  <th scope="col" style={{ width: '112px' }}>
                    {t('mon.state')}
                  </th>
                  <th scope="col">{t('mon.name')}</th>
                  <th scope="col" class="c-groups" style={{ width: '132px' }}>
                    {t('mon.groups')}
                  </th>
                  <th scope="col" class="c-query">
                    {t('query')}
                  </th>
                  <th scope="col" class="c-type" style={{ width: '112px' }}>
                    {t('mon.type')}
                  </th>
                  <th scope="col" class="num c-since" style={{ width: '96px' }}>
                    {t('mon.changed')}
                  </th>
                </tr>
              </thead>
              <tbody>
                {rows.map((m, i) => {
                  const bad = groupsIn(m, 'Alert'),
                    warn = groupsIn(m, 'Warn'),
                    n = Object.keys(m.state?.groups ?? {}).length;
                  return (
                    <tr
                      key={m.id}
                      id={`mon-${i}`}
                      class={i === cur ? 'sel is-cur' : ''}
                      onClick={(e) => {
                        if (!(e.target as Element).closest('a')) open(i);
                      }}
                    >
                      <td class="c-state">
                        <St k={stateKind(m.overall_state)} word={stateWord(m.overall_state)} />
                      </td>
                      <td class="c-name">
                        <a class="rowlink strong" href={href(`/monitors/${m.id}`)}>
                          {m.name}
                        </a>{' '}
                        <span class="tags hide-narrow">
                          {(m.tags ?? []).slice(0, 3).map((x) => (
                            <span class="badge" key={x}>
                              {x}
                            </span>
                          ))}
                        </span>
                      </td>
                      <td class="c-groups">
                        <span class="hstack">
                          {bad ? <St k="error" word={bad} /> : null}
                          {warn ? <St k="warn" word={warn} /> : null}
                          <span class="t3">{n > 1 || bad + warn ? t('mon.of', { n }) : ''}</span>
                        </span>
                      </td>
                      <td class="c-query mono t2" title={m.query}>
                        {m.query}
                      </td>
                      <td class="c-type t2">{m.type}</td>
                      <td class="num c-since t3">
                        {m.overall_state_modified
                          ? t('ago', { a: fmtAge(serverNow() - Date.parse(m.overall_state_modified)) })
                          : '–'}
                      </td>
                    </tr>
                  );
                })}
              </tbody>
            </table>
          )
        }
      </Await>
      {rows.length ? (
        <p class="listhint t3 fs12">
          <Icon n="bulb" cls="s14" /> {t('mon.hint')}
        </p>
      ) : null}
    </Frame>
  );
}
