import { expect } from 'chai';
import {
  createWorkloadLedger,
  type DesiredBundle,
  isUnverified,
  type PublishedBundle,
  type RecordChange,
  type WorkloadLedger,
} from '../../../src/status/workload-ledger.ts';

const KEY = 'foo/httpbin';
const P = 'AuthorizationPolicy/foo/p';
const Q = 'AuthorizationPolicy/foo/q';

function desired(revision: string, generation: number): DesiredBundle {
  return {
    revision,
    policies: new Map([
      [P, generation],
      [Q, generation],
    ]),
    findings: new Map(),
  };
}

/** As read from a bundle: no rule of `q` made it into the bundle. */
function published(revision: string | undefined, generation: number): PublishedBundle {
  return {
    workload: { namespace: 'foo', kind: 'deployment', name: 'httpbin' },
    policies: new Map([[P, generation]]),
    ...(revision === undefined ? {} : { revision }),
  };
}

describe('workload ledger', () => {
  let ledger: WorkloadLedger;
  let changes: RecordChange[];
  beforeEach(() => {
    ledger = createWorkloadLedger();
    changes = [];
    ledger.subscribe((change) => changes.push(change));
  });
  const generations = (): readonly (number | undefined)[] => [P, Q].map((key) => ledger.get(KEY)?.policies.get(key));

  it('knows the policies named in a published bundle when nothing was compiled', () => {
    ledger.setPublished(KEY, published('r1', 1));
    expect(generations()).to.deep.equal([1, undefined]);
    expect(isUnverified(ledger.get(KEY))).to.equal(true);
  });

  it('knows all policies once the compiled revision is the published one', () => {
    ledger.setPublished(KEY, published('r1', 1));
    ledger.desire(KEY, desired('r1', 1));
    expect(generations()).to.deep.equal([1, 1]);
    expect(isUnverified(ledger.get(KEY))).to.equal(false);
  });

  it('takes over generations that changed without changing the bundle', () => {
    ledger.desire(KEY, desired('r1', 1));
    ledger.setPublished(KEY, published('r1', 1));
    ledger.desire(KEY, desired('r1', 2));
    expect(generations()).to.deep.equal([2, 2]);
  });

  it('keeps the policies of the published revision while a newer one is not published', () => {
    ledger.desire(KEY, desired('r1', 1));
    ledger.setPublished(KEY, published('r1', 1));
    ledger.desire(KEY, desired('r2', 2));
    expect(generations()).to.deep.equal([1, 1]);

    ledger.setPublished(KEY, published('r1', 1));
    expect(generations()).to.deep.equal([1, 1]);
    ledger.setPublished(KEY, published('r2', 2));
    expect(generations()).to.deep.equal([2, 2]);
  });

  it('takes the policies from the bundle when another client wrote it', () => {
    ledger.desire(KEY, desired('r1', 2));
    ledger.setPublished(KEY, published('r1', 2));
    ledger.setPublished(KEY, published('r0', 1));
    expect(generations()).to.deep.equal([1, undefined]);
    ledger.setPublished(KEY, published(undefined, 1));
    expect(generations()).to.deep.equal([1, undefined]);
  });

  it('keeps a refusal until the desired bundle is accepted', () => {
    const refusal = { code: 'SP_TOO_LARGE', severity: 'error', path: '', message: 'too large' } as const;
    ledger.desire(KEY, desired('r1', 1));
    ledger.refuse(KEY, refusal);
    ledger.desire(KEY, desired('r2', 2));
    expect(ledger.get(KEY)?.refusal).to.deep.equal(refusal);
    ledger.accept(KEY);
    expect(ledger.get(KEY)?.refusal).to.equal(undefined);
  });

  it('remembers since when a workload waits for keys, also over a bundle published without them', () => {
    expect(ledger.hold(KEY, 10)).to.equal(10);
    ledger.desire(KEY, desired('r1', 1));
    expect(ledger.hold(KEY, 20)).to.equal(10);
    ledger.endHold(KEY);
    expect(ledger.hold(KEY, 30)).to.equal(30);
  });

  it('has no record of a workload of which nothing is known', () => {
    ledger.endHold(KEY);
    ledger.accept(KEY);
    ledger.setPublished(KEY, undefined);
    expect(ledger.get(KEY)).to.equal(undefined);

    ledger.setPublished(KEY, published('r1', 1));
    ledger.desire(KEY, desired('r1', 1));
    ledger.setPublished(KEY, undefined);
    ledger.release(KEY);
    expect([...ledger.records()]).to.deep.equal([]);
  });

  it('keeps only what is published at the end of a term', () => {
    ledger.setPublished(KEY, published('r1', 1));
    ledger.desire(KEY, desired('r1', 1));
    ledger.hold(KEY, 1);
    ledger.hold('foo/new', 1);
    ledger.endTerm();
    expect([...ledger.records()].map(({ key }) => key)).to.deep.equal([KEY]);
    expect(Object.keys(ledger.get(KEY) ?? {}).sort()).to.deep.equal(['key', 'policies', 'published']);
  });

  it('notifies readers of a new report of tampering, of its end, and of the end of a copy', () => {
    ledger.desire(KEY, desired('r1', 1));
    ledger.setPublished(KEY, published('r1', 1));
    const steps: readonly (PublishedBundle | undefined)[] = [
      { ...published('r1', 1), tampered: 'changed' },
      published('r1', 1),
      undefined,
      published(undefined, 1),
      undefined,
    ];
    for (const step of steps) {
      changes = [];
      ledger.setPublished(KEY, step);
      expect(
        changes.map(({ after }) => after?.published),
        JSON.stringify(step),
      ).to.deep.equal([step]);
    }
  });

  it('does not notify a reader that unsubscribed', () => {
    const seen: RecordChange[] = [];
    ledger.subscribe((change) => seen.push(change))();
    ledger.setPublished(KEY, published('r1', 1));

    expect(seen).to.deep.equal([]);
    expect(changes).to.have.length(1);
  });

  it('notifies readers of changes that they show, and of no others', () => {
    ledger.setPublished(KEY, published('r1', 1));
    ledger.setPublished(KEY, published('r1', 1));
    ledger.hold(KEY, 1);
    expect(changes).to.have.length(1);

    ledger.desire(KEY, desired('r1', 1));
    ledger.desire(KEY, desired('r1', 1));
    ledger.accept(KEY);
    expect(changes).to.have.length(2);

    ledger.desire(KEY, desired('r2', 2));
    expect(changes).to.have.length(2);
    ledger.setPublished(KEY, published('r2', 2));
    expect(changes).to.have.length(3);
    expect(changes.at(-1)?.before?.published?.revision).to.equal('r1');
    expect(changes.at(-1)?.after?.published?.revision).to.equal('r2');
  });
});
