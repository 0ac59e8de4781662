/*
 * After any order of edits, restarts, changes of leader, broken watches, failing, lost and late writes, and changes of bundles by others, the
 * controller converges to what a controller publishes that starts with the same objects, and to the same statuses. With a feed, agents get bundles
 * before they are written, and end with those that are published.
 */
import { expect } from 'chai';
import fc from 'fast-check';
import type { SlimPod } from '../../src/api/kube/slim.ts';
import type { RawObject } from '../../src/cluster/kube-object.ts';
import { ControllerWorld, type Fault, type StoredPolicy } from '../support/controller-world.ts';
import { GUARDED } from '../support/guarded-pods.ts';

const RUNS = 100;
const ROOT = 'istio-system';

/** Its text is what a counterexample shows. */
interface Step {
  readonly run: (world: ControllerWorld) => void | Promise<void>;
  readonly [fc.toStringMethod]: () => string;
}

function step(text: string, run: Step['run']): Step {
  return { run, [fc.toStringMethod]: () => text };
}

const namespaces = fc.constantFrom('foo', 'bar');
const apps = fc.constantFrom('a', 'b');

const putPolicy = fc
  .record({
    namespace: fc.constantFrom('foo', 'bar', ROOT),
    name: fc.constantFrom('p', 'q'),
    app: fc.option(apps, { nil: undefined }),
    path: fc.constantFrom('/1', '/2', '/3'),
    isNew: fc.boolean(),
  })
  .map(({ namespace, name, app, path, isNew }) => {
    const key = `AuthorizationPolicy/${namespace}/${name}`;
    const selector = app === undefined ? {} : { selector: { matchLabels: { app } } };
    return step(`${isNew ? 'create' : 'edit'} ${key} app=${app} ${path}`, (world) => {
      const before = isNew ? undefined : world.policy(key)?.metadata;
      if (before === undefined) world.removePolicy(key);
      const policy: StoredPolicy = {
        kind: 'AuthorizationPolicy',
        metadata: { namespace, name, uid: before?.uid ?? world.newUid(), generation: (before?.generation ?? 0) + 1 },
        spec: { action: 'DENY', rules: [{ to: [{ operation: { paths: [path] } }] }], ...selector },
      };
      world.putPolicy(policy);
    });
  });

const removePolicy = fc
  .record({ namespace: fc.constantFrom('foo', 'bar', ROOT), name: fc.constantFrom('p', 'q') })
  .map(({ namespace, name }) => {
    const key = `AuthorizationPolicy/${namespace}/${name}`;
    return step(`delete ${key}`, (world) => world.removePolicy(key));
  });

const podPlace = { namespace: namespaces, owner: fc.constantFrom('web', 'db'), index: fc.constantFrom(0, 1) };

const putPod = fc
  .record({ ...podPlace, app: apps, churn: fc.nat(3), hasAgent: fc.boolean() })
  .map(({ namespace, owner, index, app, churn, hasAgent }) => {
    const pod: SlimPod = {
      namespace,
      name: `${owner}-${index}`,
      uid: `${namespace}-${owner}-${index}`,
      labels: { app, churn: `${churn}` },
      annotations: {},
      ...(hasAgent ? GUARDED : {}),
      phase: 'Running',
      podIP: '10.0.0.1',
      owner: { apiVersion: 'apps/v1', kind: 'StatefulSet', name: owner, uid: `${namespace}-${owner}` },
    };
    return step(`put pod ${namespace}/${pod.name} app=${app} churn=${churn} agent=${hasAgent}`, (world) => world.putPod(pod));
  });

const removePod = fc
  .record(podPlace)
  .map(({ namespace, owner, index }) =>
    step(`delete pod ${namespace}/${owner}-${index}`, (world) => world.removePod(`${namespace}/${owner}-${index}`)),
  );

const faults = fc
  .array(fc.constantFrom<Fault>('conflict', 'busy', 'failed', 'forbidden', 'lost', 'held'), { minLength: 1, maxLength: 6 })
  .map((list) => step(`next writes: ${list.join()}`, (world) => void world.faults.push(...list)));

/** What another client does to a ConfigMap of a bundle. */
const tamper = fc.record({ at: fc.nat(3), how: fc.constantFrom('delete', 'empty', 'restore') }).map(({ at, how }) => {
  let earlier: RawObject | undefined;
  return step(`${how} ConfigMap ${at}`, ({ configMaps }) => {
    const [name, object] = [...configMaps.objects][at] ?? [];
    if (name === undefined || object === undefined) return;
    if (how === 'delete') {
      configMaps.objects.delete(name);
      configMaps.onEvent?.(name, undefined);
    } else configMaps.put(how === 'empty' ? { ...object, data: {} } : (earlier ?? object));
    earlier = object;
  });
});

const replica = fc.constantFrom(0, 1);
const steps: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: putPolicy },
  { weight: 2, arbitrary: removePolicy },
  { weight: 6, arbitrary: putPod },
  { weight: 2, arbitrary: removePod },
  { weight: 4, arbitrary: faults },
  { weight: 2, arbitrary: tamper },
  {
    weight: 8,
    arbitrary: fc.tuple(replica, fc.nat(8)).map(([at, count]) => step(`deliver ${count} to ${at}`, (world) => world.deliver(at, count))),
  },
  { weight: 2, arbitrary: replica.map((at) => step(`relist ${at}`, (world) => world.relist(at))) },
  { weight: 1, arbitrary: replica.map((at) => step(`restart ${at}`, (world) => world.restart(at))) },
  { weight: 2, arbitrary: fc.constant(step('change leader', (world) => world.changeLeader())) },
  { weight: 2, arbitrary: fc.constant(step('release writes', (world) => world.release())) },
  {
    weight: 6,
    arbitrary: fc.constantFrom(10, 300, 5_000).map((ms) => step(`wait ${ms} ms`, (world) => world.clock.advance(ms))),
  },
);

/** Applies only the steps that change objects, and lets a controller start after them. */
async function fromScratch(world: ControllerWorld): Promise<ControllerWorld> {
  const fresh = new ControllerWorld();
  fresh.copyObjects(world);
  fresh.lead(0);
  await fresh.converge();
  return fresh;
}

describe('convergence of the controller', () => {
  it('reaches the bundles and statuses of a fresh start, whatever happened', async function () {
    this.timeout(120_000);
    await fc.assert(
      fc.asyncProperty(fc.array(steps, { minLength: 5, maxLength: 60 }), fc.boolean(), async (list, hasFeed) => {
        const world = new ControllerWorld(hasFeed);
        world.lead(0);
        for (const one of list) {
          await one.run(world);
          await world.run();
        }
        await world.converge();
        const fresh = await fromScratch(world);
        try {
          expect(world.published()).to.deep.equal(fresh.published());
          expect([...world.statuses].sort()).to.deep.equal([...fresh.statuses].sort());
          const published = world.published();
          for (const [workload, { digest }] of world.enforced) expect(digest, `enforced by ${workload}`).to.equal(published.get(workload));
          for (const [pod, annotation] of world.annotations) {
            const [namespace = '', name = ''] = pod.split('/');
            if (world.pod(pod)?.agent === undefined) continue;
            expect(annotation.split('#')[0]).to.equal(published.get(`${namespace}/statefulset/${name.replace(/-\d$/, '')}`));
          }
        } finally {
          await Promise.all([world.stop(), fresh.stop()]);
        }
      }),
      { numRuns: RUNS },
    );
  });
});
