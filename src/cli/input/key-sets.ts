/*
 * Reads the key sets of `--jwks`, for JWT rules whose keys are behind a URL: these commands fetch nothing.
 */
import type { JwtRule } from '../../api/istio/resources.ts';
import type { KeySet } from '../../bundle/bundle.ts';
import { parseJwks } from '../../jwt/parse-jwks.ts';
import { type CommandContext, CommandError } from '../context/command-context.ts';
import { EXIT_BAD_DATA } from '../context/exit-codes.ts';
import { writeMessage } from '../terminal/writers.ts';
import { requireInput } from './read-file.ts';

/** Keys of a rule without inline keys; undefined: unknown. */
export type KeySetOf = (rule: JwtRule) => KeySet | undefined;

/**
 * Reads key sets.
 * @param given each `FILE`, for every rule without inline keys, or `ISSUER=FILE`, for the rules of one issuer
 * @throws CommandError with exit code 65 when a file cannot be read or has no usable key
 */
export async function readKeySets(given: readonly string[], context: CommandContext): Promise<KeySetOf> {
  const byIssuer = new Map<string | undefined, KeySet>();
  for (const text of given) {
    const equals = text.lastIndexOf('=');
    const file = text.slice(equals + 1);
    const { keys, problems, leftOut } = parseJwks(await requireInput(file, context));
    if (keys.length === 0)
      throw new CommandError(EXIT_BAD_DATA, `${file}: no usable key${problems.length === 0 ? '' : `: ${problems.join('; ')}`}`);
    if (leftOut.length > 0) writeMessage(context.stderr, `${file}: keys of the set are not used: ${leftOut.join('; ')}`);
    byIssuer.set(equals === -1 ? undefined : text.slice(0, equals), { source: file, keys });
  }
  return (rule) => byIssuer.get(rule.issuer ?? '') ?? byIssuer.get(undefined);
}
