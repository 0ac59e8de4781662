/*
 * Engines, rule ids, order, dry-run and CUSTOM.
 */
import { expect } from 'chai';
import { authorization, lower, provider } from './fixtures.ts';

const ANY = [{}];

describe('engines', () => {
  it('are attached by action, with Istio ids in byte order', () => {
    const { program } = lower([
      authorization({ rules: Array.from({ length: 11 }, () => ({})) }, { name: 'b', generation: 3 }),
      authorization({ rules: ANY }, { name: 'a', namespace: 'istio-system' }),
      authorization({ action: 'DENY', rules: ANY }, { name: 'd' }),
      authorization({ action: 'AUDIT' }, { name: 'e' }),
    ]);
    expect(program.http.allow.rules.map((rule) => rule.id).slice(0, 4)).to.deep.equal([
      'ns[foo]-policy[b]-rule[0]',
      'ns[foo]-policy[b]-rule[10]',
      'ns[foo]-policy[b]-rule[1]',
      'ns[foo]-policy[b]-rule[2]',
    ]);
    expect(program.http.allow.rules.at(-1)?.id).to.equal('ns[istio-system]-policy[a]-rule[0]');
    expect(program.http.allow.rules[1]?.source).to.deep.equal({
      kind: 'AuthorizationPolicy',
      namespace: 'foo',
      name: 'b',
      generation: 3,
      rule: 10,
    });
    expect(program.http.deny.rules[0]).to.deep.include({ from: [[]], to: [[]], when: [] });
    expect(program.http.audit).to.deep.equal({ attached: true, rules: [] });
    expect(program.tcp.deny.rules).to.have.length(1);
  });

  it('are attached without rules for an ALLOW policy without rules', () => {
    expect(lower([authorization({})]).program.tcp.allow).to.deep.equal({ attached: true, rules: [] });
    expect(lower([]).program.http.allow).to.deep.equal({ attached: false, rules: [] });
  });
});

describe('dry-run', () => {
  const annotated = (value: string): { readonly annotations: Record<string, string> } => ({ annotations: { 'istio.io/dry-run': value } });

  for (const value of ['1', 't', 'T', 'TRUE', 'true', 'True']) {
    it(`moves the rules to the dry-run engine when the annotation is ${value}`, () => {
      const { program } = lower([
        authorization({ rules: ANY }, annotated(value)),
        authorization({ action: 'DENY', rules: ANY }, { name: 'd', ...annotated(value) }),
      ]);
      expect(program.http.allow).to.deep.equal({ attached: false, rules: [] });
      expect(program.http.dryRunAllow.rules).to.have.length(1);
      expect(program.http.dryRunDeny.attached).to.equal(true);
    });
  }

  for (const value of ['0', 'f', 'F', 'FALSE', 'false', 'False']) {
    it(`is enforced when the annotation is ${value}`, () => {
      expect(lower([authorization({ rules: ANY }, annotated(value))]).program.http.allow.attached).to.equal(true);
    });
  }

  it('is enforced and reported when the annotation is not a boolean', () => {
    const { program, findings } = lower([authorization({ rules: ANY }, annotated('yes'))]);
    expect(program.http.allow.attached).to.equal(true);
    expect(findings.map(({ code, path }) => [code, path])).to.deep.equal([['SP_ANNOTATION', 'metadata.annotations']]);
  });

  it('attaches no engine when the action is AUDIT', () => {
    expect(lower([authorization({ action: 'AUDIT', rules: ANY }, annotated('true'))]).program.http.audit.attached).to.equal(false);
  });
});

describe('CUSTOM', () => {
  const custom = (
    name: string,
    providerName: string | undefined,
    annotations: Record<string, string> = {},
  ): ReturnType<typeof authorization> =>
    authorization(
      { action: 'CUSTOM', rules: ANY, ...(providerName !== undefined && { provider: { name: providerName } }) },
      { name, annotations },
    );

  it('calls its provider', () => {
    const ext = provider('ext');
    const { program, findings } = lower([custom('b', 'ext'), custom('a', 'ext')], { extensionProviders: [ext] });
    expect(program.http.custom).to.have.length(1);
    expect(program.http.custom[0]).to.deep.include({ name: 'ext', provider: ext });
    expect(program.http.custom[0]?.rules.map((rule) => rule.id)).to.deep.equal([
      'istio-ext-authz-ext-ns[foo]-policy[a]-rule[0]',
      'istio-ext-authz-ext-ns[foo]-policy[b]-rule[0]',
    ]);
    expect(findings).to.deep.equal([]);
  });

  it('is ignored on TCP when its provider is HTTP, and applied when it is gRPC', () => {
    expect(lower([custom('a', 'ext')], { extensionProviders: [provider('ext')] }).program.tcp.custom).to.deep.equal([]);
    expect(lower([custom('a', 'ext')], { extensionProviders: [provider('ext', 'grpc')] }).program.tcp.custom).to.have.length(1);
  });

  const unknown: readonly (string | undefined)[] = ['nowhere', undefined, 'Upper', '-a', 'a-', 'x'.repeat(64)];
  for (const name of unknown) {
    it(`denies what it matches when the provider is ${name ?? 'absent'}`, () => {
      const { program, findings } = lower([custom('a', name)], { extensionProviders: [provider('Upper'), provider('-a'), provider('a-')] });
      for (const ruleset of [program.http, program.tcp]) {
        expect(ruleset.custom[0]).to.have.property('refusal');
        expect(ruleset.custom[0]?.rules[0]?.id).to.equal(
          `istio-ext-authz-${name ? `${name}-` : ''}ns[foo]-policy[a]-rule[0]-deny-due-to-bad-CUSTOM-action`,
        );
      }
      expect(findings.map(({ code }) => code)).to.deep.equal(['SP_PROVIDER']);
    });
  }

  it('denies what it matches when two providers are named', () => {
    const mesh = { extensionProviders: [provider('b'), provider('a')] };
    const { program } = lower([custom('p', 'b'), custom('q', 'a')], mesh);
    expect(program.http.custom.map((step) => [step.name, step.refusal !== undefined])).to.deep.equal([
      ['a', true],
      ['b', true],
    ]);
    const allowed = lower([custom('p', 'b'), custom('q', 'a')], { ...mesh, multipleCustomProviders: true });
    expect(allowed.program.http.custom.map((step) => [step.name, step.provider?.name])).to.deep.equal([
      ['a', 'a'],
      ['b', 'b'],
    ]);
  });

  it('does nothing in dry-run when the provider cannot be called', () => {
    const { program } = lower([custom('a', 'nowhere', { 'istio.io/dry-run': 'true' }), custom('b', 'nowhere')]);
    expect(program.http.custom.flatMap(({ rules }) => rules.map(({ source }) => source.name))).to.deep.equal(['b']);
  });

  it('calls no provider when all of its policies are in dry-run', () => {
    const { program } = lower([custom('a', 'ext', { 'istio.io/dry-run': 'true' })], { extensionProviders: [provider('ext')] });
    expect(program.http.custom.map(({ refusal, provider: called }) => [refusal, called])).to.deep.equal([
      ['CUSTOM does not support dry-run', undefined],
    ]);
  });

  it('names the policy whose provider is unknown, and where', () => {
    const [finding] = lower([custom('a', 'nowhere')]).findings;
    expect(finding).to.deep.include({
      policy: { kind: 'AuthorizationPolicy', namespace: 'foo', name: 'a' },
      code: 'SP_PROVIDER',
      path: 'spec.provider.name',
    });
  });

  it('denies what it matches in dry-run, in addition to the policies that call the provider', () => {
    const { program, findings } = lower([custom('a', 'ext', { 'istio.io/dry-run': 'true' }), custom('b', 'ext')], {
      extensionProviders: [provider('ext')],
    });
    expect(program.http.custom.map((step) => [step.rules[0]?.id, step.refusal !== undefined])).to.deep.equal([
      ['istio-ext-authz-ext-ns[foo]-policy[a]-rule[0]', true],
      ['istio-ext-authz-ext-ns[foo]-policy[b]-rule[0]', false],
    ]);
    expect(findings.map(({ code }) => code)).to.deep.equal(['SP_ANNOTATION']);
  });
});
