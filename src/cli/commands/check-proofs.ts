/*
 * What `sallyport check` proves: that a change lets in no more (`--no-new-access`), and which rules have no effect (`--deep`).
 */
import type { IdleReason, IdleRule } from '../../analysis/idle-rules.ts';
import type { MeshConfig } from '../../api/mesh-config.ts';
import { ruleRef, ruleText } from '../../explain/rule-ref.ts';
import type { Program } from '../../policy/model/program.ts';
import { type CommandContext, CommandError } from '../context/command-context.ts';
import { EXIT_UNDECIDED } from '../context/exit-codes.ts';
import { parseTime } from '../input/common-options.ts';
import { readKeySets } from '../input/key-sets.ts';
import type { LocatedFinding } from '../input/located-finding.ts';
import { policySetOf } from '../input/policy-set.ts';
import type { ReadManifests } from '../input/read-manifests.ts';
import { locatedRule } from '../output/located-rule.ts';
import { plural } from '../output/plural.ts';
import { newAccessFindings, type ProvenWorkload } from '../output/proof.ts';
import { writeMessage } from '../terminal/writers.ts';
import { provenPods } from './compared-pods.ts';
import { proveSets } from './prove-sets.ts';
import { readSide } from './read-side.ts';
import { runProofs } from './run-proofs.ts';

/** The policies that are checked; admission accepts all of them. */
export interface CheckedPolicies {
  readonly manifests: ReadManifests;
  readonly mesh: MeshConfig;
  readonly context: CommandContext;
}

const MS_PER_SECOND = 1000;

/** What the policies let in and those of `base` refuse. @param timeout seconds for one workload */
export async function findNewAccess(
  base: string,
  { manifests, mesh, context }: CheckedPolicies,
  timeout: number,
): Promise<readonly LocatedFinding[]> {
  const keySetOf = await readKeySets([], context);
  const before = await readSide(base, { mesh, keySetOf, context });
  const after = policySetOf(manifests, mesh, keySetOf);
  const proven: ProvenWorkload[] = [];
  const proofs = proveSets([before, after], { timeout, nowSeconds: parseTime(undefined) }, context);
  for await (const one of proofs.results) proven.push(one);
  if (proven.length < proofs.count) throw stopped(`${plural(proofs.count - proven.length, 'workload')} NOT DECIDED`);
  return newAccessFindings(proven, firstFile(manifests), after.locate);
}

/** Rules without effect that `known` does not report. @param timeout seconds for one rule */
export async function findIdleRulesOf(
  known: readonly LocatedFinding[],
  { manifests, mesh, context }: CheckedPolicies,
  timeout: number,
): Promise<readonly LocatedFinding[]> {
  const set = policySetOf(manifests, mesh, await readKeySets([], context));
  if ((set.policies ?? []).length === 0) return [];
  const programs = new Map<string, Program>();
  for (const { workload, labels } of provenPods([set, set], undefined, context)) {
    const { program } = set.target(workload, labels);
    programs.set(JSON.stringify(program), program);
  }
  const idle: IdleRule[] = [];
  const options = { timeoutMs: timeout * MS_PER_SECOND, nowSeconds: 0 };
  const stop = context.stopSignal();
  for await (const one of runProofs({ kind: 'idle-rules', tasks: [...programs.values()], options }, context, stop)) idle.push(one);
  if (stop.aborted) throw stopped('other rules may be without effect, too');
  const undecided = idle.filter(({ reason }) => reason === undefined);
  for (const { source } of undecided) writeMessage(context.stderr, `NOT DECIDED whether ${ruleText(ruleRef(source))} has an effect`);
  const isKnown = ({ object, path }: LocatedFinding): boolean =>
    known.some(
      (one) =>
        REPORTED.has(one.code) && one.object === object && (one.path === 'spec' || one.path === path || one.path.startsWith(`${path}.`)),
    );
  return idle
    .flatMap(({ source, reason }): readonly LocatedFinding[] =>
      reason === undefined
        ? []
        : [{ ...locatedRule(ruleRef(source), firstFile(manifests), set.locate), severity: 'warning', ...textOf(reason) }],
    )
    .filter((finding) => !isKnown(finding));
}

/** Codes of findings that say of a rule that it has no effect. */
const REPORTED: ReadonlySet<string> = new Set(['SP_UNREACHABLE_RULE', 'SP_NEVER_MATCHES']);

function textOf(reason: IdleReason): Pick<LocatedFinding, 'code' | 'message'> {
  switch (reason.kind) {
    case 'never-matches':
      return { code: 'SP_NEVER_MATCHES', message: 'proven: no request matches this rule' };
    case 'nothing-let-in':
      return { code: 'SP_UNREACHABLE_RULE', message: 'proven: this rule has no effect: no request to its pods is let in at all' };
    case 'covered':
      return {
        code: 'SP_UNREACHABLE_RULE',
        message: `proven: this rule has no effect: ${ruleText(ruleRef(reason.by))} matches every request that it matches`,
      };
    case 'decided-by-others':
      return { code: 'SP_UNREACHABLE_RULE', message: 'proven: without this rule every request is decided alike, by other rules' };
  }
}

function firstFile({ textByFile }: ReadManifests): string {
  const [file = ''] = textByFile.keys();
  return file;
}

function stopped(what: string): CommandError {
  return new CommandError(EXIT_UNDECIDED, `stopped: ${what}`);
}
