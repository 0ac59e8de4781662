/*
 * The ledger while its writers (reconcile, the informer of bundles, the end of a term) take turns in any order: no order loses what a writer
 * recorded last, and the last change that a subscriber got is what a reader finds.
 */
import { expect } from 'chai';
import fc from 'fast-check';
import type { PolicyKey, WorkloadKey } from '../../src/api/kube/keys.ts';
import { createWorkloadLedger, type PublishedBundle, type RecordChange, type WorkloadLedger } from '../../src/status/workload-ledger.ts';

const KEYS = ['foo/deployment/a', 'foo/deployment/b'] as readonly WorkloadKey[];
const POLICY = 'AuthorizationPolicy/foo/p' as PolicyKey;

/** One call of a writer, with the part of the record that it decides. */
interface Write {
  readonly key: WorkloadKey;
  readonly revision: string | undefined;
  readonly refuses: boolean;
}

const writes = fc.array(
  fc.record({
    key: fc.constantFrom(...KEYS),
    revision: fc.option(fc.constantFrom('r1', 'r2', 'r3'), { nil: undefined }),
    refuses: fc.boolean(),
  }),
  { maxLength: 8 },
);

const generationOf = (revision: string | undefined): number => Number(revision?.slice(1) ?? 0);

const desire = (ledger: WorkloadLedger, { key, revision, refuses }: Write): void => {
  ledger.desire(key, {
    ...(revision === undefined ? {} : { revision }),
    policies: new Map(revision === undefined ? [] : [[POLICY, generationOf(revision)]]),
    findings: new Map(),
  });
  if (refuses) ledger.refuse(key, { code: 'SP_TOO_LARGE', severity: 'error', path: '', message: `refused ${revision}` });
  else ledger.accept(key);
};

/** A bundle that names none of its policies, as one whose rules were all dropped. */
const publishedOf = ({ key, revision }: Write): PublishedBundle | undefined => {
  const [namespace = '', kind = '', name = ''] = key.split('/');
  return revision === undefined
    ? undefined
    : { workload: { namespace, kind, name } as PublishedBundle['workload'], revision, policies: new Map() };
};

describe('the ledger in any order', () => {
  it('keeps what each writer recorded last, and notifies subscribers of every change', async () => {
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), writes, writes, async (scheduler, desired, published) => {
        const ledger = createWorkloadLedger();
        const seen = new Map<WorkloadKey, RecordChange['after']>();
        ledger.subscribe(({ key, before, after }) => {
          expect(before?.published?.revision, 'the state before').to.equal(seen.get(key)?.published?.revision);
          seen.set(key, after);
        });
        run(scheduler, 'desire', desired, (write) => desire(ledger, write));
        run(scheduler, 'publish', published, (write) => ledger.setPublished(write.key, publishedOf(write)));
        await scheduler.waitAll();

        for (const key of KEYS) {
          const lastDesired = desired.findLast((write) => write.key === key);
          const lastPublished = published.findLast((write) => write.key === key);
          const record = ledger.get(key);
          expect(record?.desired?.revision).to.equal(lastDesired?.revision);
          expect(record?.refusal?.message).to.equal(lastDesired?.refuses === true ? `refused ${lastDesired.revision}` : undefined);
          expect(record?.published?.revision).to.equal(lastPublished?.revision);
          expectSameToReaders(seen.get(key), record);
          if (record?.published !== undefined && record.published.revision === record.desired?.revision)
            expect(record.policies.get(POLICY)).to.equal(generationOf(record.published.revision));
        }
      }),
      { numRuns: 200 },
    );
  });

  it('forgets the leader, and only the leader, whenever a term ends', async () => {
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), writes, writes, async (scheduler, desired, published) => {
        const ledger = createWorkloadLedger();
        const compiled = new Set<WorkloadKey>();
        run(scheduler, 'desire', desired, (write) => {
          desire(ledger, write);
          compiled.add(write.key);
        });
        run(scheduler, 'publish', published, (write) => ledger.setPublished(write.key, publishedOf(write)));
        scheduler.scheduleSequence([
          {
            label: 'end of the term',
            builder: () => {
              ledger.endTerm();
              compiled.clear();
              return Promise.resolve();
            },
          },
        ]);
        await scheduler.waitAll();

        for (const key of KEYS) {
          const record = ledger.get(key);
          expect(record?.desired !== undefined).to.equal(compiled.has(key));
          expect(record?.published?.revision).to.equal(published.findLast((write) => write.key === key)?.revision);
          if (!compiled.has(key)) expect(record?.refusal).to.equal(undefined);
          expect(record === undefined).to.equal(record?.desired === undefined && record?.published === undefined);
        }
      }),
      { numRuns: 200 },
    );
  });
});

function run(scheduler: fc.Scheduler, writer: string, list: readonly Write[], apply: (write: Write) => void): void {
  scheduler.scheduleSequence(
    list.map((write, at) => ({
      label: `${writer} ${at} ${write.key} ${write.revision}`,
      builder: () => {
        apply(write);
        return Promise.resolve();
      },
    })),
  );
}

/** What statuses and reports show of a record. */
function expectSameToReaders(reported: RecordChange['after'], found: RecordChange['after']): void {
  const shown = (record: RecordChange['after']): object => ({
    published: record?.published?.revision,
    refusal: record?.refusal?.message,
    policies: [...(record?.policies ?? [])],
    isUnverified: record?.published !== undefined && record.desired === undefined,
  });
  expect(shown(reported), 'the last change of a subscriber').to.deep.equal(shown(found));
}
