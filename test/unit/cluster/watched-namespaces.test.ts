import { expect } from 'chai';
import fc from 'fast-check';
import type { KubeClient, KubeRequest } from '../../../src/cluster/client.ts';
import { CONFIG_MAPS } from '../../../src/cluster/paths.ts';
import type { Reflector, ReflectorSink } from '../../../src/cluster/reflector.ts';
import { type NamespaceInput, WatchedNamespaces } from '../../../src/cluster/watched-namespaces.ts';
import { RefusedError, TransientError } from '../../../src/errors.ts';
import { createLogger } from '../../../src/telemetry/logger.ts';

const logger = createLogger({ level: 'silent', component: 'test' });
const signal = new AbortController().signal;
const NAMESPACES = ['root', 'foo', 'bar'];
const RESOURCES = ['pods', 'policies'];

type Inputs = ReadonlyMap<string, NamespaceInput<number>>;

interface World {
  readonly watched: WatchedNamespaces;
  /** By resource, then by namespace. */
  readonly inputs: ReadonlyMap<string, Inputs>;
  readonly reflectors: ReadonlyMap<string, Reflector>;
  /** Calls of the sinks, by resource. */
  readonly calls: Map<string, string[]>;
  readonly held: ReadonlyMap<string, Map<string, number>>;
}

function open(client: Partial<KubeClient> = {}, specific: Partial<ReflectorSink<number>> = {}): World {
  const watched = new WatchedNamespaces({ client: client as KubeClient, namespaces: [...NAMESPACES, 'foo'], root: 'root', logger });
  const calls = new Map<string, string[]>();
  const held = new Map<string, Map<string, number>>();
  const inputs = new Map<string, Inputs>();
  const reflectors = new Map<string, Reflector>();
  for (const resource of RESOURCES) {
    const log: string[] = [];
    const objects = new Map<string, number>();
    const ofNamespace = new Map<string, NamespaceInput<number>>();
    const sink: ReflectorSink<number> = {
      replace: (all, version) => {
        objects.clear();
        for (const [key, value] of all) objects.set(key, value);
        log.push(`replace ${[...all.keys()].join()} at ${version}`);
      },
      upsert: (key, value) => {
        objects.set(key, value);
        log.push(`upsert ${key}`);
      },
      remove: (key) => {
        objects.delete(key);
        log.push(`remove ${key}`);
      },
      ...specific,
    };
    const create = (namespace: string, input: NamespaceInput<number>): Reflector => {
      ofNamespace.set(namespace, input);
      return {
        run: () => Promise.resolve(),
        whenSynced: Promise.resolve(),
        hasSynced: () => false,
        resourceVersion: () => undefined,
      };
    };
    reflectors.set(resource, watched.mirror(resource, sink, create));
    inputs.set(resource, ofNamespace);
    calls.set(resource, log);
    held.set(resource, objects);
  }
  return { watched, inputs, reflectors, calls, held };
}

function inputOf({ inputs }: World, resource: string, namespace: string): NamespaceInput<number> {
  const input = inputs.get(resource)?.get(namespace);
  if (input === undefined) throw new Error(`no reflector of ${resource} in ${namespace}`);
  return input;
}

function list(world: World, resource: string, namespace: string, names: readonly string[], version = '1'): void {
  inputOf(world, resource, namespace).sink.replace(new Map(names.map((name) => [`${namespace}/${name}`, 0])), version);
}

function listAll(world: World, namespaces: readonly string[] = NAMESPACES): void {
  for (const resource of RESOURCES) for (const namespace of namespaces) list(world, resource, namespace, ['one']);
}

function forbid(world: World, resource: string, namespace: string, times = 5): void {
  for (let time = 0; time < times; time += 1) inputOf(world, resource, namespace).onForbidden();
}

describe('watched namespaces', () => {
  it('give the sinks nothing before every namespace is listed, then everything in one list', () => {
    const world = open();
    list(world, 'pods', 'foo', ['a', 'b'], '7');
    inputOf(world, 'pods', 'foo').sink.remove('foo/a');
    inputOf(world, 'pods', 'foo').sink.upsert('foo/c', 1);
    list(world, 'pods', 'root', [], '5');
    list(world, 'pods', 'bar', ['d'], '6');
    list(world, 'policies', 'root', ['p'], '8');
    list(world, 'policies', 'foo', [], '9');
    expect([...world.calls.values()]).to.deep.equal([[], []]);
    expect(world.reflectors.get('pods')?.hasSynced()).to.equal(false);

    list(world, 'policies', 'bar', [], '10');

    // With the version of the first list: what was created after it may be missing.
    expect(world.calls.get('pods')).to.deep.equal(['replace foo/b,foo/c,bar/d at 5']);
    expect(world.calls.get('policies')).to.deep.equal(['replace root/p at 8']);
    expect(world.reflectors.get('pods')?.hasSynced()).to.equal(true);
    expect(world.watched.isComplete()).to.equal(true);
  });

  it('take a later list as upserts and removes in its namespace only', () => {
    const world = open();
    listAll(world);
    for (const log of world.calls.values()) log.length = 0;

    list(world, 'pods', 'foo', ['two']);

    expect(world.calls.get('pods')).to.deep.equal(['upsert foo/two', 'remove foo/one']);
    expect([...(world.held.get('pods')?.keys() ?? [])]).to.deep.equal(['root/one', 'bar/one', 'foo/two']);
  });

  it('give a later list as a whole to a sink that asks for it', () => {
    const lists: string[] = [];
    const world = open(
      {},
      { replaceIn: (namespace, objects, version) => lists.push(`${namespace} ${[...objects.keys()].join()} ${version}`) },
    );
    listAll(world);

    list(world, 'pods', 'foo', ['two'], '12');

    expect(lists).to.deep.equal(['foo foo/two 12']);
  });

  it('start without a namespace that cannot be read, and name it until it can', () => {
    const world = open();
    listAll(world, ['root', 'foo']);
    // Its pods can be read, its policies cannot.
    list(world, 'pods', 'bar', ['unprotected']);
    forbid(world, 'policies', 'bar', 4);
    expect(world.reflectors.get('policies')?.hasSynced()).to.equal(false);
    forbid(world, 'policies', 'bar', 1);

    expect(world.reflectors.get('policies')?.hasSynced()).to.equal(true);
    expect(world.reflectors.get('policies')?.forbidden?.()).to.deep.equal(['bar']);
    expect(world.watched.isComplete()).to.equal(false);
    expect([...(world.held.get('pods')?.keys() ?? [])]).to.deep.equal(['root/one', 'foo/one']);
    inputOf(world, 'pods', 'foo').sink.upsert('foo/two', 2);
    inputOf(world, 'pods', 'bar').sink.upsert('bar/other', 2);
    expect([...(world.held.get('pods')?.keys() ?? [])]).to.deep.equal(['root/one', 'foo/one', 'foo/two']);

    list(world, 'policies', 'bar', ['deny']);

    expect(world.calls.get('pods')?.slice(-2)).to.deep.equal(['upsert bar/unprotected', 'upsert bar/other']);
    expect(world.calls.get('policies')?.slice(-1)).to.deep.equal(['upsert bar/deny']);
    expect(world.reflectors.get('policies')?.forbidden?.()).to.deep.equal([]);
    expect(world.watched.isComplete()).to.equal(true);
  });

  it('give a sink that failed everything again', () => {
    let failures = 1;
    const lists: string[] = [];
    const replace = (objects: ReadonlyMap<string, number>): void => {
      failures -= 1;
      if (failures >= 0) throw new Error('failed');
      lists.push([...objects.keys()].join());
    };
    const world = open({}, { replace });
    expect(() => listAll(world)).to.throw('failed');
    expect(world.reflectors.get('pods')?.hasSynced()).to.equal(false);

    listAll(world, ['bar']);

    expect(lists).to.deep.equal(['root/one,foo/one,bar/one', 'root/one,foo/one,bar/one']);
    expect(world.reflectors.get('pods')?.hasSynced()).to.equal(true);

    const refused = open({}, { replace });
    failures = 1;
    listAll(refused, ['root', 'foo']);
    forbid(refused, 'pods', 'bar');
    expect(refused.reflectors.get('pods')?.hasSynced()).to.equal(false);
    forbid(refused, 'pods', 'bar', 1);
    expect(refused.reflectors.get('pods')?.hasSynced()).to.equal(true);
  });

  it('do not start without the root namespace', () => {
    const world = open();
    listAll(world, ['foo', 'bar']);
    list(world, 'pods', 'root', []);
    forbid(world, 'policies', 'root', 10);

    expect(world.reflectors.get('pods')?.hasSynced()).to.equal(false);
    expect(world.calls.get('pods')).to.deep.equal([]);
    expect(world.reflectors.get('policies')?.forbidden?.()).to.deep.equal(['root']);
  });

  it('keep what they know of a namespace that can no longer be read', () => {
    const world = open();
    listAll(world);
    forbid(world, 'policies', 'foo');

    expect([...(world.held.get('policies')?.keys() ?? [])]).to.include('foo/one');
    expect(world.reflectors.get('policies')?.forbidden?.()).to.deep.equal(['foo']);
    expect(world.reflectors.get('pods')?.forbidden?.()).to.deep.equal([]);
  });

  it('list each namespace that can be read, and fail for any reason but missing rights', async () => {
    let failure: Error | undefined;
    const paths: string[] = [];
    const request = ({ path }: KubeRequest): Promise<{ status: number; json: unknown }> => {
      paths.push(path);
      if (path.includes('/bar/') && failure !== undefined) return Promise.reject(failure);
      return Promise.resolve({ status: 200, json: { metadata: { resourceVersion: '1' }, items: [{ metadata: { name: path } }] } });
    };
    const { watched } = open({ request });
    const names: (string | undefined)[] = [];
    const run = (): Promise<void> => watched.list({ resource: CONFIG_MAPS }, (raw) => names.push(raw.metadata?.name), signal);
    failure = new RefusedError('SP_KUBE_FORBIDDEN', 'no');
    await run();

    expect(paths).to.deep.equal(NAMESPACES.map((namespace) => `/api/v1/namespaces/${namespace}/configmaps`));
    expect(names).to.have.length(2);
    failure = new TransientError('SP_KUBE_API', 'later');
    const error = await run().catch((thrown: unknown) => thrown);
    expect(error).to.equal(failure);
  });

  it('hold what the reflectors of the namespaces hold, in any order of events', () => {
    const name = fc.constantFrom('one', 'two', 'three');
    const step = fc.record({
      resource: fc.constantFrom(...RESOURCES),
      namespace: fc.constantFrom(...NAMESPACES),
      event: fc.oneof(
        { weight: 3, arbitrary: fc.record({ kind: fc.constant('list' as const), names: fc.uniqueArray(name) }) },
        { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom('upsert' as const, 'remove' as const), name }) },
        { weight: 1, arbitrary: fc.record({ kind: fc.constant('forbidden' as const) }) },
      ),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const world = open();
        const truth = new Map<string, Map<string, number>>();
        steps.forEach(({ resource, namespace, event }, index) => {
          const at = `${resource} ${namespace}`;
          const { sink } = inputOf(world, resource, namespace);
          if (event.kind === 'forbidden') forbid(world, resource, namespace);
          else if (event.kind === 'list') {
            truth.set(at, new Map(event.names.map((one) => [`${namespace}/${one}`, index])));
            sink.replace(new Map(truth.get(at)), String(index));
          } else if (truth.has(at)) {
            const key = `${namespace}/${event.name}`;
            if (event.kind === 'upsert') {
              truth.get(at)?.set(key, index);
              sink.upsert(key, index);
            } else {
              truth.get(at)?.delete(key);
              sink.remove(key);
            }
          }
          const isStarted = world.reflectors.get('pods')?.hasSynced() === true;
          const listed = NAMESPACES.filter((one) => RESOURCES.every((other) => truth.has(`${other} ${one}`)));
          if (isStarted) expect(listed).to.include('root');
          if (listed.length === NAMESPACES.length) expect(isStarted).to.equal(true);
          for (const one of RESOURCES) {
            const expected = isStarted ? listed.flatMap((where) => [...(truth.get(`${one} ${where}`) ?? [])]) : [];
            expect([...(world.held.get(one) ?? [])]).to.have.deep.members(expected);
          }
        });
      }),
      { numRuns: 300 },
    );
  });
});
