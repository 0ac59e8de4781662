import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { readSources } from '../../../scripts/dependencies/read-sources.ts';
import { findUnbounded } from '../../../scripts/limits/find-unbounded.ts';
import { limitsPage } from '../../../scripts/reference/limits-page.ts';
import { LIMITS } from '../../../src/limits/agent-limits.ts';
import { LIMIT_REACHED } from '../../../src/limits/limit.ts';
import { PROFILE_LIMITS } from '../../../src/limits/profile-limits.ts';
import { createAgentMetrics } from '../../../src/telemetry/agent-metrics.ts';

const root = join(import.meta.dirname, '../../..');
const page = readFileSync(join(root, 'docs/reference/limits.md'), 'utf8');

describe('docs/reference/limits.md', () => {
  it('is up to date', () => {
    expect(limitsPage(), 'run npm run gen').to.equal(page);
  });

  it('has one row for every declared limit', () => {
    const rows = [...page.matchAll(/^\| `([a-z-]+)` \|/gm)].map(([, name]) => name);
    expect(rows.toSorted()).to.deep.equal([...Object.values(LIMITS), ...Object.values(PROFILE_LIMITS)].map(({ name }) => name).toSorted());
  });

  it('names metrics that the agent exports, and limits by the labels that it uses', () => {
    const metrics = createAgentMetrics(() => 0, true).text();
    const named = [...page.matchAll(/`(sallyport_agent_\w+)(?:\{(limit="[^"]+")?)?/g)];
    expect(named.length).to.be.greaterThan(20);
    for (const [, name = '', label] of named) {
      expect(metrics).to.include(`# TYPE ${name} counter`);
      if (label !== undefined) expect(metrics).to.include(`${name}{${label}} `);
    }
  });

  it('has no limit that nothing counts', () => {
    const source = [...readSources(root)].filter(([path]) => !path.startsWith('src/limits/')).map(([, text]) => text);
    const isCounted = (name: string): boolean => {
      // Counted by the code itself, by a container or timer that takes the limit, or under another name.
      const counting = new RegExp(`(?:LIMITS|limits)\\.${name}(\\.hit\\(|[,);]| \\})`);
      return source.some((text) => counting.test(text));
    };
    const uncounted = Object.entries(LIMITS).filter(([name, { metric }]) => metric === LIMIT_REACHED && !isCounted(name));
    expect(uncounted.map(([name]) => name)).to.deep.equal([]);
  });

  it('has no row that no code uses', () => {
    const sources = [...readSources(root)].filter(([path]) => !path.startsWith('src/limits/')).map(([, source]) => source);
    expect(
      [...Object.keys(LIMITS), ...Object.keys(PROFILE_LIMITS)].filter(
        (name) => !sources.some((source) => new RegExp(`(?:LIMITS|limits)\\.${name}\\b`).test(source)),
      ),
    ).to.deep.equal([]);
  });
});

describe('src/agent', () => {
  it('has no container, timer or bound without a declared limit', () => {
    const findings = findUnbounded(readSources(root)).map(({ path, line, message }) => `${path}:${line}: ${message}`);
    expect(findings.join('\n')).to.equal('');
  });
});
