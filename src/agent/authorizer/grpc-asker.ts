/*
 * Asks authorizers over gRPC.
 */
import { InvariantError } from '../../errors.ts';
import type { Asker } from './asker.ts';

/** An asker for all gRPC providers of an agent. */
export async function createGrpcAsker(): Promise<Asker> {
  throw new InvariantError('gRPC authorizers cannot be asked yet');
}
