/* A bundle that is parsed in pieces is accepted exactly when the whole of it is, and is the same. */
import { expect } from 'chai';
import fc from 'fast-check';
import type { Bundle } from '../../../src/bundle/bundle.ts';
import { bundleSchema } from '../../../src/bundle/bundle-schema.ts';
import { canonicalJson } from '../../../src/bundle/canonical-json.ts';
import { cutRules } from '../../../src/bundle/cut-rules.ts';
import { parseInSteps, validateInSteps } from '../../../src/bundle/validate.ts';
import type { Rule } from '../../../src/policy/model/program.ts';
import { doSteps } from '../../../src/steps.ts';
import { SAMPLE } from './sample-bundle.ts';

const RULE = SAMPLE.programs[0]?.http.allow.rules[0] as Rule;
const rules = (count: number, text: string): readonly Rule[] =>
  Array.from({ length: count }, (_, at) => ({ ...RULE, id: `${text} ${at}` }));

/** Rules in every list, some of which have several pieces; `text` is in all of them. */
function large(text: string): Bundle {
  const lists = {
    audit: { attached: true, rules: rules(1, text) },
    deny: { attached: true, rules: rules(12, text) },
    allow: { attached: true, rules: rules(12, text) },
    dryRunDeny: { attached: false, rules: [] },
  };
  return {
    ...SAMPLE,
    programs: SAMPLE.programs.map((program) => ({
      ...program,
      http: { ...program.http, ...lists, custom: program.http.custom.map((step) => ({ ...step, rules: rules(8, text) })) },
      tcp: { ...program.tcp, ...lists },
    })),
  };
}

const LARGE = canonicalJson(large(''));

/** The bundle; undefined: it is refused. */
function inPieces(json: Uint8Array): Bundle | undefined {
  try {
    const result = doSteps(validateInSteps(doSteps(parseInSteps(json))));
    return result.success ? result.bundle : undefined;
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError) return undefined;
    throw error;
  }
}

function asWhole(json: Uint8Array): Bundle | undefined {
  try {
    const result = bundleSchema.safeParse(JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(json)));
    return result.success ? result.data : undefined;
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError) return undefined;
    throw error;
  }
}

describe('a bundle in pieces', () => {
  it('is cut at all of its rules', () => {
    const { rest, lists } = doSteps(cutRules(Buffer.from(LARGE)));

    expect(rest.length).to.be.below(LARGE.length / 10);
    expect(Buffer.from(rest).toString()).to.not.include('"attribute"');
    expect(lists.filter(({ pieces }) => pieces.length > 1).length).to.be.above(3);
    expect(lists.map(({ path }) => path.join('.')).sort()).to.include.members([
      'programs.0.http.allow.rules',
      'programs.0.http.custom.0.rules',
      'programs.0.tcp.deny.rules',
    ]);
  });

  it('is the whole bundle, in any layout and with any text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.constantFrom(undefined, 1, '\t', '\r\n  '), (text, indent) => {
        const value = large(`${text}\\"]},{[${text}`);
        const json = Buffer.from(JSON.stringify(value, null, indent));
        expect(inPieces(json)).to.deep.equal(value);
      }),
      { numRuns: 30 },
    );
  });

  it('is refused exactly when the whole is, wherever characters are lost, added or changed', () => {
    const structure = [...LARGE.matchAll(/[[\]{},:"]/g)].map(({ index }) => index);
    const text = fc.array(fc.constantFrom('[', ']', '{', '}', ',', ':', '"', '\\', ' ', '0', '\u{feff}', 'null'), { maxLength: 2 });
    let accepted = 0;
    fc.assert(
      fc.property(fc.constantFrom(...structure), fc.integer({ min: -1, max: 1 }), fc.nat(2), text, (at, shift, removed, added) => {
        const from = Math.max(0, at + shift);
        const json = Buffer.from(LARGE.slice(0, from) + added.join('') + LARGE.slice(from + removed));
        const bundle = inPieces(json);
        expect(bundle).to.deep.equal(asWhole(json));
        if (bundle !== undefined) accepted += 1;
      }),
      { numRuns: 300 },
    );
    expect(accepted).to.be.within(1, 299);
  });

  it('is refused with the place of the rule that is wrong', () => {
    const list = `"rules":[${rules(12, '').map(canonicalJson).join()}`;
    for (const wrong of ['{}', '1', 'null', '[]']) {
      const json = Buffer.from(LARGE.replace(list, () => `${list},${wrong}`));
      const result = doSteps(validateInSteps(doSteps(parseInSteps(json))));
      expect(result.success, wrong).to.equal(false);
      expect(JSON.stringify(result), wrong).to.include('rules');
    }
  });

  it('is refused exactly when the whole is, wherever it ends', () => {
    for (let end = 0; end < LARGE.length; end += 997) expect(inPieces(Buffer.from(LARGE.slice(0, end)))).to.equal(undefined);
  });

  it('is refused when a comma has no element, or a member is repeated', () => {
    const list = `"rules":[${rules(12, '').map(canonicalJson).join()}`;
    expect(LARGE).to.include(list);
    for (const other of [
      `${list},`,
      `"rules":[${','.repeat(20_000)}`,
      `"rules":[${' '.repeat(20_000)},`,
      `${list}],"rules":[`,
      `${list}],"rule\\u0073":[`,
    ]) {
      expect(inPieces(Buffer.from(LARGE.replace(list, () => other))), other.slice(-40)).to.equal(undefined);
    }
    const program = '"programs":[';
    expect(inPieces(Buffer.from(LARGE.replace(program, () => `"programs":[{"http":{"allow":{"rules":[]}}}],${program}`)))).to.equal(
      undefined,
    );
  });

  it('takes names that are written with escapes', () => {
    const escaped = LARGE.replaceAll('"rules"', '"rule\\u0073"').replaceAll('"allow"', '"\\u0061llow"');

    expect(inPieces(Buffer.from(escaped))).to.deep.equal(large(''));
  });
});
