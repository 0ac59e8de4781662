import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { ALERTS } from '../../../scripts/observability/alerts.ts';
import { dashboardFiles } from '../../../scripts/observability/dashboards.ts';
import { DASHBOARDS } from '../../../scripts/observability/panels.ts';
import { metricsPage } from '../../../scripts/reference/metrics-page.ts';

/** Labels that Prometheus adds to what it scrapes from a pod, and that of the buckets of a histogram. */
const ADDED = ['namespace', 'pod', 'le'];
/** Of Node.js: they are in the page as a whole. */
const OF_NODE: ReadonlyMap<string, readonly string[]> = new Map([
  ['nodejs_eventloop_lag_p99_seconds', []],
  ['process_resident_memory_bytes', []],
  ['process_cpu_seconds_total', []],
]);

/** Name to labels of every metric. */
async function metrics(): Promise<ReadonlyMap<string, readonly string[]>> {
  const rows = [...(await metricsPage()).matchAll(/^\| `([a-z_]+)` \| \w+ \| ([^|]*) \|/gm)];
  return new Map([
    ...OF_NODE,
    ...rows.map(([, name = '', labels = '']): [string, readonly string[]] => [
      name,
      [...labels.matchAll(/`(\w+)`/g)].map(([, one = '']) => one),
    ]),
  ]);
}

/** Metrics of an expression, with the labels that it selects by. */
function uses(expr: string): readonly { readonly name: string; readonly labels: readonly string[] }[] {
  const found = expr.matchAll(
    /\b((?:sallyport|workqueue|rest_client|leader_election|controller_runtime|nodejs|process)_[a-z0-9_]+)(?:\{((?:"[^"]*"|[^}"])*)\})?/g,
  );
  return [...found].map(([, name = '', filter = '']) => ({
    name: name.replace(/_bucket$/, ''),
    labels: [...filter.matchAll(/(\w+)\s*(?:=~|!~|!=|=)\s*"/g)].map(([, label = '']) => label),
  }));
}

function grouped(expr: string): readonly string[] {
  return [...expr.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, list = '']) => list.split(',').map((label) => label.trim()));
}

describe('alerts and dashboards', () => {
  const expressions = [
    ...ALERTS.map(({ name, expr }) => [name, expr] as const),
    ...DASHBOARDS.flatMap(({ title, panels }) =>
      panels.flatMap((panel) => panel.queries.map(([expr]) => [`${title}: ${panel.title}`, expr] as const)),
    ),
  ];

  it('name metrics that exist, and labels that they have', async () => {
    const known = await metrics();
    expect(expressions.length).to.be.greaterThan(40);
    for (const [where, expr] of expressions) {
      const named = uses(expr);
      expect(named, `${where}: ${expr}`).to.not.deep.equal([]);
      const labels = new Set([...ADDED, ...named.flatMap(({ name }) => known.get(name) ?? [])]);
      for (const { name, labels: selected } of named) {
        expect([...known.keys()], where).to.include(name);
        for (const label of selected) expect([...ADDED, ...(known.get(name) ?? [])], `${where}: ${name}`).to.include(label);
      }
      for (const label of grouped(expr)) expect([...labels], `${where}: by ${label}`).to.include(label);
    }
  });

  it('balance their brackets', () => {
    for (const [where, expr] of expressions) {
      const plain = expr.replaceAll(/"[^"]*"|\{\{.*?\}\}/g, '');
      for (const [open, close] of ['()', '{}', '[]']) {
        const count = (character: string | undefined): number => plain.split(character ?? '').length;
        expect(count(open), `${where}: ${expr}`).to.equal(count(close));
      }
    }
  });

  it('say what to do for every alert, and each alert once', () => {
    expect(new Set(ALERTS.map(({ name }) => name)).size).to.equal(ALERTS.length);
    for (const { summary, action } of ALERTS) for (const text of [summary, action]) expect(text).to.match(/^\S.{10,}/);
  });

  it('place panels side by side without overlaps', () => {
    for (const { name, text } of dashboardFiles()) {
      const { panels } = JSON.parse(text) as {
        readonly panels: readonly {
          readonly id: number;
          readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
        }[];
      };
      expect(new Set(panels.map(({ id }) => id)).size, name).to.equal(panels.length);
      const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
        Array.from({ length: w * h }, (_, at) => `${x + (at % w)},${y + Math.floor(at / w)}`),
      );
      expect(new Set(cells).size, name).to.equal(cells.length);
      for (const { gridPos } of panels) expect(gridPos.x + gridPos.w, name).to.be.at.most(24);
    }
  });

  it('are what the chart has', () => {
    for (const { name, text } of dashboardFiles()) {
      expect(readFileSync(new URL(`../../../charts/sallyport/dashboards/${name}`, import.meta.url), 'utf8')).to.equal(text);
    }
  });
});
