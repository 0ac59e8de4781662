/*
 * Alerts and dashboards of the chart against what reads them: promtool parses every expression, and fires each alert on series that are
 * wrong and not on those that are right; Grafana's own types read the dashboards strictly.
 */
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { parseAllDocuments, stringify } from 'yaml';
import { ALERTS } from '../../scripts/observability/alerts.ts';
import { DASHBOARDS } from '../../scripts/observability/panels.ts';
import { binaryPath, build, buildModule } from '../cluster/build.ts';
import { ALERT_CASES, type AlertCase } from '../support/alert-cases.ts';
import { withDirectory } from '../support/temporary-directory.ts';

const run = promisify(execFile);
const chart = new URL('../../charts/sallyport/', import.meta.url).pathname;
const EVALUATED_MINUTES = 30;

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

interface RuleFile {
  readonly groups: readonly { readonly name: string; readonly rules: readonly Rule[] }[];
}

/** What the chart hands to Prometheus. */
async function ruleFile(...args: readonly string[]): Promise<RuleFile> {
  const { stdout } = await run(binaryPath('helm'), ['template', 'sallyport', chart, '--set', 'prometheusRule.enabled=true', ...args]);
  const objects = parseAllDocuments(stdout).map((document) => document.toJS() as { readonly kind: string; readonly spec: RuleFile } | null);
  const found = objects.find((object) => object?.kind === 'PrometheusRule');
  if (found === undefined || found === null) throw new Error('no PrometheusRule');
  return found.spec;
}

/** Runs promtool with files of a directory. @returns its exit code and all it wrote */
async function promtool(files: Readonly<Record<string, object>>, ...args: readonly string[]): Promise<readonly [number, string]> {
  const texts = Object.fromEntries(Object.entries(files).map(([name, content]) => [name, stringify(content)]));
  return withDirectory(texts, async (cwd) => {
    try {
      const { stdout, stderr } = await run(binaryPath('promtool'), args, { cwd, maxBuffer: 1e8 });
      return [0, stdout + stderr];
    } catch (error) {
      const { code, stdout, stderr } = error as { readonly code: number; readonly stdout: string; readonly stderr: string };
      return [code, stdout + stderr];
    }
  });
}

/** An annotation as Prometheus renders it with these labels. */
function rendered(template: string, labels: Readonly<Record<string, string>>, value = 'no value'): string {
  return template
    .replaceAll(/\{\{ \$labels\.(\w+) \}\}/g, (_, label: string) => labels[label] ?? '')
    .replaceAll(/\{\{ \$value(?: \| \w+)? \}\}/g, value);
}

function seriesOf(series: AlertCase['firing']): readonly object[] {
  return series.map(([name, values]) => ({ series: name, values }));
}

function testsOf({ alert, firing, after, labels, value, quiet }: AlertCase, rules: readonly Rule[]): readonly object[] {
  const rule = rules.find((one) => one.alert === alert);
  const annotations = Object.entries(rule?.annotations ?? {}).map(([name, text]) => [name, rendered(text, labels, value)]);
  const fired = [{ exp_labels: { ...labels, ...rule?.labels }, exp_annotations: Object.fromEntries(annotations) }];
  const at = (minutes: number, expected: readonly object[]): object => ({
    eval_time: `${minutes}m`,
    alertname: alert,
    exp_alerts: expected,
  });
  return [
    { interval: '1m', name: `${alert} fires`, input_series: seriesOf(firing), alert_rule_test: [at(after, fired)] },
    {
      interval: '1m',
      name: `${alert} stays quiet`,
      input_series: seriesOf(quiet),
      alert_rule_test: Array.from({ length: EVALUATED_MINUTES }, (_, minutes) => at(minutes, [])),
    },
  ];
}

describe('alerts and dashboards, as Prometheus and Grafana read them', function () {
  // The first run compiles Grafana's types.
  this.timeout(600_000);
  let checker: string;

  before(async () => {
    await build('integration');
    checker = await buildModule('check-dashboards', new URL('dashboards/', import.meta.url));
  });

  it('rules are accepted by promtool with every values file', async () => {
    for (const file of readdirSync(join(chart, 'ci'))) {
      const [code, text] = await promtool(
        { 'rules.yaml': await ruleFile('--values', join(chart, 'ci', file)) },
        'check',
        'rules',
        '--lint=all',
        '--lint-fatal',
        'rules.yaml',
      );

      expect([code, text], file).to.deep.equal([0, text]);
      expect(text).to.contain(`SUCCESS: ${ALERTS.length} rules found`);
    }
  });

  it('each alert fires when it should, with its text, and not otherwise', async () => {
    const rules = await ruleFile();
    const all = rules.groups.flatMap((group) => group.rules);
    expect(ALERT_CASES.map(({ alert }) => alert)).to.have.members(all.map(({ alert }) => alert));
    const tests = { rule_files: ['rules.yaml'], evaluation_interval: '1m', tests: ALERT_CASES.flatMap((one) => testsOf(one, all)) };

    const [code, text] = await promtool({ 'rules.yaml': rules, 'tests.yaml': tests }, 'test', 'rules', 'tests.yaml');

    expect([code, text]).to.deep.equal([0, text]);
  });

  it('an alert that never fires fails that test', async () => {
    const rules = await ruleFile();
    const group = rules.groups[0];
    const broken = { groups: [{ ...group, rules: group?.rules.map((rule) => ({ ...rule, expr: `(${rule.expr}) and vector(0) > 1` })) }] };
    const tests = ALERT_CASES.flatMap((one) => testsOf(one, group?.rules ?? []));

    const [code, text] = await promtool(
      { 'rules.yaml': broken, 'tests.yaml': { rule_files: ['rules.yaml'], evaluation_interval: '1m', tests } },
      'test',
      'rules',
      'tests.yaml',
    );

    expect(code).to.equal(1);
    for (const { alert } of ALERT_CASES) expect(text).to.contain(alert);
  });

  it('expressions of dashboards are accepted by promtool', async () => {
    const expressions = DASHBOARDS.flatMap(({ panels }) => panels.flatMap(({ queries }) => queries.map(([expr]) => expr)));
    const rules = expressions.map((expr, at) => ({
      record: `panel:expression:${at}`,
      expr: expr.replaceAll('$__rate_interval', '5m').replaceAll('$__range', '1h'),
    }));
    const check = (list: readonly object[]): ReturnType<typeof promtool> =>
      promtool({ 'rules.yaml': { groups: [{ name: 'panels', rules: list }] } }, 'check', 'rules', 'rules.yaml');

    const [code, text] = await check(rules);
    expect([code, text]).to.deep.equal([0, text]);
    expect(text).to.contain(`SUCCESS: ${expressions.length} rules found`);
    expect((await check([{ record: 'panel:expression:0', expr: 'sum by (a (up)' }]))[0]).to.equal(1);
  });

  it("dashboards are read by Grafana's types without an unknown, missing or wrong field", async () => {
    const folder = join(chart, 'dashboards');
    const files = readdirSync(folder).map((file) => join(folder, file));

    const { stdout } = await run(checker, files);

    expect(files).to.have.length(DASHBOARDS.length);
    expect(stdout).to.equal('');
  });

  const WRONG: readonly (readonly [what: string, change: (text: string) => string, fault: string])[] = [
    ['a misspelt field', (text) => text.replace('"title"', '"titel"'), "unexpected field 'titel'"],
    ['a misspelt option', (text) => text.replace('"colorMode"', '"colourMode"'), "unexpected field 'colourMode'"],
    ['a misspelt field of a query', (text) => text.replace('"expr"', '"exprr"'), "unexpected field 'exprr'"],
    ['a misspelt unit', (text) => text.replace('"unit"', '"unitt"'), "unexpected field 'unitt'"],
    ['a panel of no plug-in', (text) => text.replace('"type": "stat"', '"type": "pie"'), 'unknown type pie'],
    ['a panel that is too wide', (text) => text.replace('"w": 8', '"w": 48'), 'must be <= 24'],
  ];
  for (const [what, change, fault] of WRONG) {
    it(`${what} is noticed`, async () => {
      const text = readFileSync(join(chart, 'dashboards/sallyport-controller.json'), 'utf8');
      await withDirectory({}, async (directory) => {
        const path = join(directory, 'wrong.json');
        writeFileSync(path, change(text));
        const output = await run(checker, [path]).then(
          () => 'accepted',
          (failure: { readonly stdout: string }) => failure.stdout,
        );
        expect(output).to.contain(fault);
      });
    });
  }

  it('values of the chart reach the rules', async () => {
    const text = JSON.stringify(await ruleFile('--set', 'prometheusRule.keyAgeSeconds=77', '--set', 'fullnameOverride=guard'));

    expect(text).to.contain('> 77"').and.to.contain('name=\\"guard-controller\\"');
  });
});
