// SPDX-License-Identifier: Apache-2.0
// Facet column: ticking a value edits the query; Alt+click excludes. On phones it is a sheet.
import type { VNode } from 'preact';
import { useState } from 'preact/hooks';
import {
  getJson,
  qs,
  useQuery,
  Y,
  type Facet,
  type Facets,
  type FacetValue,
  type FacetValues,
  type Query,
} from '../lib/api';
import { fmtCount } from '../lib/format';
import { t } from '../lib/i18n';
import { conjuncts, parseSearch, pickedValues, scoped, setFacet, toggleTerm, type Node } from '../lib/search';
import type { View } from '../lib/view';
import { Icon } from './icon';
import { Mid } from './parts';
import { ErrorPanel, SkeletonRows } from './states';

export type Track = 'logs' | 'spans' | 'traces';

export function useFacets(track: Track, q: string, v: View): Query<Facets> {
  return useQuery(`facets|${track}|${q}|${v.key}`, (s) =>
    getJson<Facets>(`${Y}/facets/${track}${qs({ q, from: v.range.from_ms, to: v.range.to_ms })}`, s),
  );
}

export async function facetValues(
  track: string,
  key: string,
  v: View,
  prefix: string,
  signal?: AbortSignal,
  extra: Record<string, string> = {},
): Promise<FacetValue[]> {
  const q = qs({ from: v.range.from_ms, to: v.range.to_ms, prefix, limit: 20, ...extra });
  return (await getJson<FacetValues>(`${Y}/facets/${track}/${encodeURIComponent(key)}/values${q}`, signal)).values;
}

function FacetGroup({
  f,
  ast,
  q,
  v,
  track,
  fullQ,
  onQuery,
  open0,
}: {
  f: Facet;
  ast: Node | null;
  q: string;
  v: View;
  track: Track;
  fullQ: string;
  onQuery: (q: string) => void;
  open0: boolean;
}): VNode {
  const [open, setOpen] = useState(open0);
  const [all, setAll] = useState(false);
  const picked = pickedValues(ast, f.key);
  // what else could be picked: the same query without this key's own terms
  const asked = picked.include.length ? scoped(setFacet(q, f.key, []), { env: v.env, service: v.service }) : fullQ;
  const want = open && (all || f.values.length === 0 || picked.include.length > 0);
  const more = useQuery(want ? `fv|${track}|${f.key}|${asked}|${all}|${v.key}` : null, (s) =>
    getJson<FacetValues>(
      `${Y}/facets/${track}/${encodeURIComponent(f.key)}/values${qs({ q: asked, from: v.range.from_ms, to: v.range.to_ms, limit: all ? 100 : 10 })}`,
      s,
    ),
  );
  const list: FacetValue[] = [...(want && more.data ? more.data.values : f.values)];
  for (const p of [...picked.include, ...picked.exclude])
    if (!list.some((x) => x.value === p)) list.unshift({ value: p, count: 0 });
  const top = Math.max(1, ...list.map((x) => x.count));
  const click = (e: MouseEvent, value: string): void => {
    e.preventDefault();
    if (e.altKey) return onQuery(toggleTerm(q, f.key, value, true));
    if (picked.exclude.includes(value)) return onQuery(toggleTerm(q, f.key, value, true));
    const next = picked.include.includes(value)
      ? picked.include.filter((x) => x !== value)
      : [...picked.include, value];
    return onQuery(setFacet(q, f.key, next));
  };
  return (
    <details class="facet" open={open} onToggle={(e) => setOpen(e.currentTarget.open)}>
      <summary>
        <Icon n="right" cls="arrow" />
        <span class="cut">{f.key}</span>
        <span class="n">{list.length ? `${list.length}${f.more ? '+' : ''}` : ''}</span>
      </summary>
      <ul>
        {list.map((x) => {
          const out = picked.exclude.includes(x.value);
          return (
            <li key={x.value}>
              <label
                class={`fv ${out ? 'is-out' : ''}`}
                style={{ '--p': String(x.count / top) }}
                title={t('facet.hint')}
                onClick={(e) => click(e, x.value)}
              >
                <input
                  type="checkbox"
                  checked={picked.include.includes(x.value)}
                  aria-label={`${f.key} ${x.value}`}
                  onClick={(e) => {
                    e.stopPropagation();
                    click(e, x.value);
                  }}
                />
                <Mid s={x.value || '""'} tail={8} />
                <span class="n">{x.count ? fmtCount(x.count) : ''}</span>
              </label>
            </li>
          );
        })}
        {(want && more.data ? more.data.more : f.more) && !all ? (
          <li>
            <button type="button" class="fv-more" onClick={() => setAll(true)}>
              {t('facet.more')}
            </button>
          </li>
        ) : null}
      </ul>
    </details>
  );
}

export function FacetColumn({
  track,
  q,
  fullQ,
  v,
  facets,
  onQuery,
  sheet,
  onClose,
}: {
  track: Track;
  q: string;
  fullQ: string;
  v: View;
  facets: Query<Facets>;
  onQuery: (q: string) => void;
  sheet: boolean;
  onClose: () => void;
}): VNode {
  const [find, setFind] = useState('');
  const { ast } = parseSearch(q);
  const list = (facets.data?.facets ?? []).filter(
    (f) =>
      !find ||
      f.key.toLowerCase().includes(find.toLowerCase()) ||
      f.values.some((x) => x.value.toLowerCase().includes(find.toLowerCase())),
  );
  return (
    <aside class={`facets ${sheet ? 'is-sheet' : ''}`} aria-label={t('facets')}>
      <div class="find hstack">
        <div class="inputwrap grow">
          <Icon n="filter" cls="s14" />
          <input
            class="input sm"
            aria-label={t('facet.find')}
            placeholder={t('facet.find')}
            value={find}
            onInput={(e) => setFind(e.currentTarget.value)}
          />
        </div>
        {sheet ? (
          <button class="btn sm" type="button" onClick={onClose}>
            {t('done')}
          </button>
        ) : null}
      </div>
      {facets.data === undefined ? (
        facets.error ? (
          <ErrorPanel error={facets.error} retry={facets.retry} />
        ) : facets.late ? (
          <SkeletonRows rows={14} cols={[16, 0, 32]} />
        ) : null
      ) : null}
      <div class={facets.stale && facets.loading && facets.late ? 'stale' : ''}>
        {list.map((f, i) => (
          <FacetGroup
            key={f.key}
            f={f}
            ast={ast}
            q={q}
            v={v}
            track={track}
            fullQ={fullQ}
            onQuery={onQuery}
            open0={i < 6 || pickedValues(ast, f.key).include.length > 0}
          />
        ))}
        {facets.data && list.length === 0 ? <p class="t3 fs12 none">{t('facet.none')}</p> : null}
      </div>
    </aside>
  );
}

/** How many terms the query has, for the "Filters n" button on phones. */
export function termCount(q: string): number {
  return conjuncts(parseSearch(q).ast).length;
}
