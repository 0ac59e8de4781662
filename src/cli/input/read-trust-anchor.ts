/*
 * Reads what agents trust, as `sallyport keys show --anchor` prints it.
 */
import { parseTrustAnchor, type TrustAnchor } from '../../bundle/trust-anchor.ts';
import { RefusedError } from '../../errors.ts';
import { type CommandContext, CommandError } from '../context/command-context.ts';
import { EXIT_BAD_DATA } from '../context/exit-codes.ts';
import { requireInput } from './read-file.ts';

/** The trust anchor in a file. @throws CommandError with exit code 65 when it cannot be read or is not one */
export async function readTrustAnchor(file: string, context: CommandContext): Promise<TrustAnchor> {
  const text = await requireInput(file, context);
  try {
    return parseTrustAnchor(text);
  } catch (error) {
    if (error instanceof RefusedError) throw new CommandError(EXIT_BAD_DATA, `${file}: ${error.message}`, { cause: error });
    throw error;
  }
}
