import { expect } from 'chai';
import { formatTraceParent, newSpanId, newTraceId, parentOf, traceStateOf } from '../../../src/traces/trace-context.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN = '00f067aa0ba902b7';
const parent = (...values: readonly string[]): ReturnType<typeof parentOf> => parentOf(values.flatMap((value) => ['Traceparent', value]));

describe('trace context', () => {
  for (const [text, isSampled] of [
    [`00-${TRACE}-${SPAN}-01`, true],
    [`00-${TRACE}-${SPAN}-00`, false],
    [`00-${TRACE}-${SPAN}-fe`, false],
    [`00-${TRACE}-${SPAN}-03`, true],
    [` 00-${TRACE}-${SPAN}-01 `, true],
    [`cc-${TRACE}-${SPAN}-01-what-the-future-will-be-like`, true],
  ] as const) {
    it(`accepts ${text}`, () => expect(parent(text)).to.deep.equal({ traceId: TRACE, spanId: SPAN, isSampled }));
  }

  for (const text of [
    '',
    'ff',
    `ff-${TRACE}-${SPAN}-01`,
    `00-${TRACE}-${SPAN}-01-more`,
    `00-${TRACE}-${SPAN}-1`,
    `00-${TRACE.toUpperCase()}-${SPAN}-01`,
    `00-${TRACE.slice(1)}-${SPAN}-01`,
    `00-${'0'.repeat(32)}-${SPAN}-01`,
    `00-${TRACE}-${'0'.repeat(16)}-01`,
    `00-${TRACE}-${SPAN}-01,00-${TRACE}-${SPAN}-01`,
  ]) {
    it(`ignores "${text}"`, () => expect(parent(text)).to.equal(undefined));
  }

  it('ignores several, as the specification of HTTP headers demands', () => {
    const one = `00-${TRACE}-${SPAN}-01`;
    expect(parent(one, one)).to.equal(undefined);
    expect(parent()).to.equal(undefined);
  });

  it('joins the state of several headers', () => {
    expect(traceStateOf(['tracestate', 'a=1', 'x', 'y', 'TraceState', 'b=2'])).to.equal('a=1,b=2');
    expect(traceStateOf(['x', 'tracestate'])).to.equal('');
  });

  it('formats what it parses, and makes ids of the right length that differ', () => {
    const context = { traceId: newTraceId(), spanId: newSpanId(), isSampled: true };
    expect(parent(formatTraceParent(context))).to.deep.equal(context);
    expect(newTraceId()).to.not.equal(newTraceId());
  });
});
