/*
 * What a failed request to the API server means for a person: one line, without a path of the API.
 */
import { RefusedError, TransientError } from '../../errors.ts';
import { CommandError } from '../context/command-context.ts';
import { EXIT_BAD_DATA, EXIT_FAILURE } from '../context/exit-codes.ts';

const OF_POLICIES = /\/apis\/security\.istio\.io\//;
const IN_FILES: ReadonlySet<string> = new Set(['ENOENT', 'EACCES', 'EISDIR', 'ENOTDIR']);

/** The error to end a command with, for what a request to the API server threw; other errors are returned as they are. */
export function kubeFailure(thrown: unknown, server: string): unknown {
  if (!(thrown instanceof RefusedError || thrown instanceof TransientError)) return thrown;
  const failed = (message: string, exitCode = EXIT_FAILURE): CommandError => new CommandError(exitCode, message, { cause: thrown });
  switch (thrown.code) {
    case 'SP_KUBE_FORBIDDEN':
      return failed(`forbidden: ${sentenceOf(thrown) ?? thrown.message}`);
    case 'SP_KUBE_NOT_FOUND':
      return failed(
        OF_POLICIES.test(thrown.message)
          ? 'the cluster does not serve security.istio.io/v1: install the CRDs with kubectl apply --server-side -f crds.yaml'
          : `not found: ${sentenceOf(thrown) ?? thrown.message}`,
      );
    case 'SP_KUBE_UNAUTHORIZED':
      return failed(`the API server at ${server} rejects the credentials of the kubeconfig (401 Unauthorized)`);
    case 'SP_KUBE_API':
    case 'SP_TIMEOUT':
      return unreachable(thrown, server, failed);
    case 'SP_CONFIG':
      return failed(thrown.message, EXIT_BAD_DATA);
    default:
      return thrown;
  }
}

function unreachable(thrown: Error, server: string, failed: (message: string, exitCode?: number) => CommandError): CommandError {
  const reason = thrown.message.slice(thrown.message.indexOf(': ') + 2);
  const plugin = pluginOf(thrown);
  if (plugin !== undefined) return failed(`the credential plugin "${plugin}" of the kubeconfig cannot be run: ${reason}`, EXIT_BAD_DATA);
  // client-node reads the files that a kubeconfig names when it sends the first request.
  if (IN_FILES.has(reason)) return failed(`a file that the kubeconfig names cannot be read: ${reason}`, EXIT_BAD_DATA);
  if (/^\d{3}\b/.test(reason)) return failed(`the API server at ${server} failed: ${reason}`);
  return failed(`cannot reach the API server at ${server}: ${reason}`);
}

/** The program that could not be started; undefined: another failure. */
function pluginOf({ cause }: Error): string | undefined {
  const { syscall = '', path } = (cause ?? {}) as NodeJS.ErrnoException;
  return syscall.startsWith('spawn') ? (path ?? syscall) : undefined;
}

function sentenceOf(error: TransientError | RefusedError): string | undefined {
  return error instanceof RefusedError ? error.sentence : undefined;
}
