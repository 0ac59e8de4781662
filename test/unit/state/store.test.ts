import { expect } from 'chai';
import { objectKey } from '../../../src/api/kube/keys.ts';
import { createStore, type Store, type StoreChange } from '../../../src/state/store.ts';

interface Fruit {
  readonly namespace: string;
  readonly name: string;
  readonly colours: readonly string[];
  readonly note?: string;
}

function fruitStore(): Store<Fruit, 'colour' | 'namespace'> {
  return createStore<Fruit, 'colour' | 'namespace'>({
    keyOf: (fruit) => objectKey(fruit.namespace, fruit.name),
    indexes: { colour: (fruit) => fruit.colours, namespace: (fruit) => [fruit.namespace] },
    same: (before, after) => before.colours.join() === after.colours.join(),
  });
}

const apple: Fruit = { namespace: 'a', name: 'apple', colours: ['red', 'green'] };
const lime: Fruit = { namespace: 'b', name: 'lime', colours: ['green'] };

describe('store', () => {
  it('finds objects by key and by every value of an index', () => {
    const store = fruitStore();
    store.upsert(apple);
    store.upsert(lime);

    expect(store.get('a/apple')).to.equal(apple);
    expect(store.byIndex('colour', 'green')).to.deep.equal([apple, lime]);
    expect(store.byIndex('colour', 'red')).to.deep.equal([apple]);
    expect(store.byIndex('namespace', 'c')).to.deep.equal([]);
    expect([...store.indexValues('namespace')]).to.deep.equal(['a', 'b']);
  });

  it('updates indexes when an indexed value changes or an object is removed', () => {
    const store = fruitStore();
    store.upsert(apple);
    store.upsert({ ...apple, colours: ['yellow'] });

    expect(store.byIndex('colour', 'red')).to.deep.equal([]);
    expect(store.byIndex('colour', 'yellow')).to.have.length(1);

    store.remove('a/apple');
    expect(store.byIndex('colour', 'yellow')).to.deep.equal([]);
    expect([...store.indexValues('colour')]).to.deep.equal([]);
    expect(store.size()).to.equal(0);
  });

  it('reports each change with both versions, and nothing when the versions are equal to subscribers', () => {
    const store = fruitStore();
    const changes: StoreChange<Fruit>[] = [];
    const stop = store.subscribe((change) => changes.push(change));

    store.upsert(apple);
    store.upsert({ ...apple, note: 'ripe' });
    const yellow = { ...apple, colours: ['yellow'] };
    store.upsert(yellow);
    store.remove('a/apple');
    store.remove('a/apple');
    stop();
    store.upsert(lime);

    expect(changes.map(({ before, after }) => [before?.colours, after?.colours])).to.deep.equal([
      [undefined, apple.colours],
      [apple.colours, ['yellow']],
      [['yellow'], undefined],
    ]);
  });

  it('stores the newest version even when it reports no change', () => {
    const store = fruitStore();
    store.upsert(apple);
    store.upsert({ ...apple, note: 'ripe' });
    expect(store.get('a/apple')?.note).to.equal('ripe');
  });

  it('reports only the differences of a replacement', () => {
    const store = fruitStore();
    store.upsert(apple);
    store.upsert(lime);
    const keys: string[] = [];
    store.subscribe((change) => keys.push(`${change.key} ${change.after === undefined ? 'gone' : 'there'}`));

    store.replace([apple, { namespace: 'c', name: 'plum', colours: ['blue'] }]);

    expect(keys).to.deep.equal(['c/plum there', 'b/lime gone']);
    expect([...store.values()].map((fruit) => fruit.name)).to.deep.equal(['apple', 'plum']);
  });
});
