// SPDX-License-Identifier: Apache-2.0
// Bundles the page into OUTDIR: hashed, gzip-compressed assets, index.html and manifest.json (docs/api.md).
// Usage: node build.mjs OUTDIR [--dev]   (--dev keeps names readable and adds source maps)
import { build } from 'esbuild';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

const here = dirname(fileURLToPath(import.meta.url));
const args = process.argv.slice(2).filter((a) => !a.startsWith('--'));
const dev = process.argv.includes('--dev');
if (args.length !== 1) {
  console.error('usage: node build.mjs OUTDIR [--dev]');
  process.exit(2);
}
const out = resolve(args[0]);

/** Upper limits of gzip-compressed script, in bytes (design: pages §9.2). */
const BUDGET = { total: 250_000, entry: 80_000, chunk: 25_000, library: 32_000 };
const TYPES = { js: 'text/javascript; charset=utf-8', css: 'text/css; charset=utf-8', svg: 'image/svg+xml' };

const common = {
  bundle: true,
  minify: !dev,
  sourcemap: dev ? 'inline' : false,
  target: ['es2021'],
  charset: 'utf8',
  jsx: 'automatic',
  jsxImportSource: 'preact',
  write: false,
  metafile: true,
  logLevel: 'warning',
  legalComments: 'none',
  loader: { '.svg': 'text' },
};

/** Runs esbuild and returns its output files as {name, bytes, meta}. */
async function bundle(options) {
  const result = await build({ ...common, outdir: join(out, 'assets'), ...options });
  return result.outputFiles.map((f) => ({
    name: basename(f.path),
    bytes: Buffer.from(f.contents),
    meta: Object.entries(result.metafile.outputs).find(([p]) => p.endsWith('/' + basename(f.path)))?.[1],
  }));
}

const names = { entryNames: '[name]-[hash]', chunkNames: '[name]-[hash]', assetNames: '[name]-[hash]' };
const [app, theme, css] = await Promise.all([
  bundle({ entryPoints: [join(here, 'src/main.tsx')], format: 'esm', splitting: true, ...names }),
  bundle({ entryPoints: [join(here, 'src/theme.ts')], format: 'iife', ...names }),
  bundle({ entryPoints: [join(here, 'src/styles/app.css')], ...names }),
]);

/** The favicon is the logo of the sprite on its own. */
function favicon() {
  const sprite = readFileSync(join(here, 'icons.svg'), 'utf8');
  const logo = /<symbol id="i-logo"[^>]*>([\s\S]*?)<\/symbol>/.exec(sprite);
  if (!logo) throw new Error('icons.svg has no i-logo');
  const svg =
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 20 20" fill="none" stroke="#1D5FBF" ` +
    `stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round">${logo[1]}</svg>`;
  const bytes = Buffer.from(svg);
  return { name: `favicon-${sha(bytes).slice(0, 8)}.svg`, bytes };
}

function sha(bytes) {
  return createHash('sha256').update(bytes).digest('hex');
}

const entry = app.find((f) => f.meta?.entryPoint?.endsWith('src/main.tsx'));
const icon = favicon();
const files = [...app, ...theme, ...css, icon];

for (const part of ['assets', 'index.html', 'manifest.json']) rmSync(join(out, part), { recursive: true, force: true });
mkdirSync(join(out, 'assets'), { recursive: true });
const manifest = { files: [] };
const scripts = [];
for (const f of files) {
  const packed = gzipSync(f.bytes, { level: 9 });
  const file = `assets/${f.name}.gz`;
  writeFileSync(join(out, file), packed);
  const ext = f.name.slice(f.name.lastIndexOf('.') + 1);
  manifest.files.push({
    path: `/assets/${f.name}`,
    file,
    type: TYPES[ext],
    encoding: 'gzip',
    immutable: true,
    etag: sha(f.bytes).slice(0, 16),
  });
  if (ext === 'js') {
    const library = Object.keys(f.meta?.inputs ?? {}).some((i) => i.includes('uplot'));
    scripts.push({ name: f.name, size: packed.length, kind: f === entry ? 'entry' : library ? 'library' : 'chunk' });
  }
}
// the chunks that the entry imports at once are fetched in parallel with it
const eager = (entry.meta?.imports ?? []).filter((i) => i.kind === 'import-statement').map((i) => basename(i.path));
const html = readFileSync(join(here, 'index.html'), 'utf8')
  .replace('{{css}}', `/assets/${css[0].name}`)
  .replace('{{theme}}', `/assets/${theme[0].name}`)
  .replace('{{js}}', `/assets/${entry.name}`)
  .replace('{{icon}}', `/assets/${icon.name}`)
  .replace('{{preload}}', eager.map((n) => `<link rel="modulepreload" href="/assets/${n}">`).join('\n'));
writeFileSync(join(out, 'index.html'), html);
manifest.files.push({
  path: '/index.html',
  file: 'index.html',
  type: 'text/html; charset=utf-8',
  encoding: 'identity',
  immutable: false,
  etag: sha(Buffer.from(html)).slice(0, 16),
});
manifest.files.sort((a, b) => (a.path < b.path ? -1 : 1));
writeFileSync(join(out, 'manifest.json'), JSON.stringify(manifest, null, 1) + '\n');

const total = scripts.reduce((n, s) => n + s.size, 0);
const kb = (n) => (n / 1000).toFixed(1) + ' kB';
console.log(
  `web: ${scripts.length} scripts, ${kb(total)} gzip (entry ${kb(scripts.find((s) => s.kind === 'entry').size)}), ` +
    `css ${kb(gzipSync(css[0].bytes, { level: 9 }).length)} → ${out}`,
);
if (!dev) {
  const over = scripts.filter((s) => s.size > BUDGET[s.kind]);
  for (const s of over) console.error(`web: ${s.name} is ${kb(s.size)} gzip, over its budget`);
  if (over.length || total > BUDGET.total) {
    console.error(`web: script budget broken (total ${kb(total)} of ${kb(BUDGET.total)})`);
    process.exit(1);
  }
}
