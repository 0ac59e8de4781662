/*
 * Requests of a HAR file (what browsers and proxies save). In: its text. Out: request specs in the file's order.
 * @see http://www.softwareishard.com/blog/har-12-spec/
 */
import * as z from 'zod';
import { CommandFault } from '../command-context.ts';
import { EXIT_BAD_DATA } from '../exit-codes.ts';
import type { RequestSpec } from './request-spec.ts';
import { splitUrl } from './split-url.ts';

const harSchema = z.object({
  log: z.object({
    entries: z.array(
      z.object({
        request: z.object({
          method: z.string(),
          url: z.string(),
          headers: z.array(z.object({ name: z.string(), value: z.string() })).default([]),
          postData: z.object({ text: z.string().optional() }).optional(),
        }),
      }),
    ),
  }),
});

/** The requests in `text`. Pseudo headers of HTTP/2 are taken from the URL. @throws CommandFault when it is no HAR */
export function parseHar(text: string, file: string): readonly RequestSpec[] {
  const result = harSchema.safeParse(parseJsonText(text, file));
  if (!result.success) {
    const [issue] = result.error.issues;
    throw new CommandFault(EXIT_BAD_DATA, `${file}: no HAR: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}`);
  }
  return result.data.log.entries.map(({ request }) => {
    const { host, path, port } = splitUrl(request.url);
    const kept = request.headers.filter(
      ({ name }) => !name.startsWith(':') && !/^(connection|content-length|transfer-encoding)$/i.test(name),
    );
    const hasHost = kept.some(({ name }) => name.toLowerCase() === 'host');
    return {
      method: request.method,
      path,
      headers: kept.map(({ name, value }): [string, string] => [name, value]),
      ...(host === undefined || hasHost ? {} : { host }),
      ...(port === undefined ? {} : { port }),
      ...(request.postData?.text === undefined ? {} : { body: request.postData.text }),
    };
  });
}

/** `text` as JSON. @throws CommandFault that names the file */
export function parseJsonText(text: string, place: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new CommandFault(EXIT_BAD_DATA, `${place}: not JSON: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
}
