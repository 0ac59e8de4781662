import { expect } from 'chai';
import { readJsonObject } from '../../../../src/api/kube/json-text.ts';
import { parseYamlValue } from '../../../../src/api/kube/yaml-documents.ts';

describe('readJsonObject', () => {
  it('reads the same value as the YAML parser', () => {
    for (const text of [
      '{}',
      '\n {"a": [1, "b:c", {"d\\":": null}], "e": {"f": -1.5e3, "": ":"}}\n',
      '{"\\\\": 1, "\\u00e9": "\\ud83d\\ude00", "10": 1, "9": 2}',
      '{"a": [[], {}, [{}]]}',
    ]) {
      expect(readJsonObject(text)?.value, text).to.deep.equal(parseYamlValue(text));
    }
    expect(readJsonObject('\n  {"a": 1}')?.offset).to.equal(3);
  });

  it('leaves text that is nested too deeply to the YAML parser', () => {
    expect(readJsonObject(`${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`)).to.equal(undefined);
    expect(readJsonObject(`${'{"a":'.repeat(500)}1${'}'.repeat(500)}`)).to.not.equal(undefined);
  });

  it('leaves repeated members, other values and other text to the YAML parser', () => {
    for (const text of [
      '{"a": 1, "a": 1}',
      '[{"b": {"c": 1, "c": 2}}]',
      '{"b": [{"c": 1, "\\u0063": 2}]}',
      '{a: 1}',
      '{"a": 1} # c',
      '"a"',
      '',
    ]) {
      expect(readJsonObject(text), text).to.equal(undefined);
    }
  });
});
