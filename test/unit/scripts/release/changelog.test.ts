import { join } from 'node:path';
import { expect } from 'chai';
import { existingSection, foldInto, parseFragment, readFragments, readSection, sectionOf } from '../../../../scripts/release/changelog.ts';

const changes = join(import.meta.dirname, '../../../../changes');

describe('changelog', () => {
  it('folds fragments into one section by kind', () => {
    const fragments = [
      parseFragment('a.md', 'kind: fixed\nOne repair,\nover two lines.\n'),
      parseFragment('b.md', 'kind: added\nOne command.\n'),
      parseFragment('c.md', 'kind: fixed\nAnother.\n'),
    ];

    expect(sectionOf('1.2.3', '2026-01-02', fragments)).to.equal(
      '## 1.2.3 (2026-01-02)\n\n### Added\n\n- One command.\n\n### Fixed\n\n- One repair, over two lines.\n- Another.\n',
    );
  });

  it('reads the items of a section back', () => {
    const fragments = [parseFragment('a.md', 'kind: fixed\nA repair.\n'), parseFragment('b.md', 'kind: security\nA hole.\n')];

    expect(readSection(sectionOf('1.2.3', '2026-01-02', fragments))).to.deep.equal([
      { kind: 'security', text: 'A hole.' },
      { kind: 'fixed', text: 'A repair.' },
    ]);
    expect(readSection(sectionOf('1.2.3', '2026-01-02', []))).to.deep.equal([]);
  });

  it('puts the newest section first, and finds it again', () => {
    const first = foldInto('# Changelog\n\nNothing is released yet.\n', sectionOf('1.0.0', '2026-01-01', []));
    const second = foldInto(first, sectionOf('1.1.0', '2026-02-01', [parseFragment('a.md', 'kind: changed\nA change.\n')]));

    expect(second.match(/^## .*$/gm)).to.deep.equal(['## 1.1.0 (2026-02-01)', '## 1.0.0 (2026-01-01)']);
    expect(existingSection(second, '1.0.0')).to.include('No change that a user notices.');
    expect(existingSection(second, '1.0')).to.equal(undefined);
    expect(second).to.not.include('Nothing is released yet');
  });

  it('refuses a version that it has already', () => {
    const first = foldInto('', sectionOf('1.0.0', '2026-01-01', []));

    expect(() => foldInto(first, sectionOf('1.0.0', '2026-02-01', []))).to.throw('CHANGELOG.md has a section for 1.0.0 already');
  });

  for (const [what, content] of [
    ['without a kind', 'A change.\n'],
    ['of an unknown kind', 'kind: improved\nA change.\n'],
    ['without text', 'kind: fixed\n\n'],
    ['that is empty', ''],
  ] as const) {
    it(`refuses a fragment ${what} by name`, () => {
      expect(() => parseFragment('x.md', content)).to.throw('changes/x.md: ');
    });
  }

  it('can fold every fragment of the tree', () => {
    expect(() => readFragments(changes)).to.not.throw();
  });
});
