/* What was found for a request is given again to one that hit exactly the same, and to no other. */
import { expect } from 'chai';
import { Answers, MAX_RULES } from '../../../../../src/policy/decide/index/answers.ts';
import { addHit, createHits, createPosting, type Hits } from '../../../../../src/policy/decide/index/posting.ts';

function hitsOf(count: number, isPartial = false): Hits {
  const hits = { ...createHits(), isPartial };
  for (let id = 0; id < count; id++) addHit(hits, createPosting([id], undefined, undefined));
  return hits;
}

function ask(answers: Answers, ...axes: readonly Hits[]): number {
  answers.begin();
  for (const axis of axes) answers.note(axis);
  return answers.slot();
}

describe('Answers', () => {
  it('knows nothing at first, not even of a request that hit nothing', () => {
    const answers = new Answers();
    expect(answers.isKnown(ask(answers))).to.equal(false);
    answers.keep(ask(answers), new Int32Array(0), 0);
    expect(answers.isKnown(ask(answers))).to.equal(true);
    expect(answers.count(ask(answers))).to.equal(0);
  });

  it('gives the rules of the same question', () => {
    const answers = new Answers();
    const [path, claim] = [hitsOf(2), hitsOf(3)];
    answers.keep(ask(answers, path, claim), Int32Array.of(7, 9), 2);
    const slot = ask(answers, path, claim);
    expect(answers.isKnown(slot)).to.equal(true);
    expect(Array.from({ length: answers.count(slot) }, (_, at) => answers.rule(slot, at))).to.deep.equal([7, 9]);
  });

  it('tells a question from any other that falls on its slot', () => {
    const answers = new Answers();
    const asked = hitsOf(1);
    const slot = ask(answers, asked);
    answers.keep(slot, Int32Array.of(1), 1);
    let others = 0;
    for (let i = 0; i < 1000; i++) {
      if (ask(answers, hitsOf(1)) !== slot) continue;
      others++;
      expect(answers.isKnown(slot)).to.equal(false);
    }
    expect(others).to.be.greaterThan(0);
  });

  it('tells an axis that could not be told from one without hits', () => {
    const answers = new Answers();
    const path = hitsOf(1);
    answers.keep(ask(answers, path, hitsOf(0, true)), Int32Array.of(1), 1);
    expect(answers.isKnown(ask(answers, path, hitsOf(0)))).to.equal(false);
    expect(answers.isKnown(ask(answers, path, hitsOf(0, true)))).to.equal(true);
  });

  it('takes questions of 64 hits, and no longer ones', () => {
    const answers = new Answers();
    const longest = hitsOf(64);
    answers.keep(
      ask(answers, longest),
      Int32Array.from({ length: MAX_RULES }, (_, rule) => rule),
      MAX_RULES,
    );
    const slot = ask(answers, longest);
    expect(answers.isKnown(slot)).to.equal(true);
    expect(answers.rule(slot, MAX_RULES - 1)).to.equal(MAX_RULES - 1);
    expect(ask(answers, hitsOf(65))).to.equal(-1);
  });
});
