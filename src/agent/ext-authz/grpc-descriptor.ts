/*
 * The part of Envoy's ext_authz protocol that is used here, in the form that protobufjs reads: messages reduced to the fields that are sent or
 * read; other fields of a response are skipped.
 * @see envoy/service/auth/v3/external_auth.proto, attribute_context.proto
 */

const text = (id: number): object => ({ type: 'string', id });
const many = (type: string, id: number): object => ({ rule: 'repeated', type, id });

/** Path of the one method. */
export const CHECK_METHOD = '/envoy.service.auth.v3.Authorization/Check';

/** Packages nested by name, as protobufjs' JSON has them. */
export const CHECK_DESCRIPTOR: object = {
  nested: {
    google: {
      nested: {
        protobuf: {
          nested: {
            Timestamp: { fields: { seconds: { type: 'int64', id: 1 }, nanos: { type: 'int32', id: 2 } } },
            BoolValue: { fields: { value: { type: 'bool', id: 1 } } },
          },
        },
        rpc: { nested: { Status: { fields: { code: { type: 'int32', id: 1 } } } } },
      },
    },
    envoy: {
      nested: {
        type: { nested: { v3: { nested: { HttpStatus: { fields: { code: { type: 'int32', id: 1 } } } } } } },
        config: {
          nested: {
            core: {
              nested: {
                v3: {
                  nested: {
                    Address: { fields: { socket_address: { type: 'SocketAddress', id: 1 } } },
                    SocketAddress: { fields: { address: text(2), port_value: { type: 'uint32', id: 3 } } },
                    HeaderValue: { fields: { key: text(1), value: text(2), raw_value: { type: 'bytes', id: 3 } } },
                    HeaderValueOption: {
                      fields: {
                        header: { type: 'HeaderValue', id: 1 },
                        append: { type: 'google.protobuf.BoolValue', id: 2 },
                        append_action: { type: 'int32', id: 3 },
                      },
                    },
                    QueryParameter: { fields: { key: text(1), value: text(2) } },
                  },
                },
              },
            },
          },
        },
        service: {
          nested: {
            auth: {
              nested: {
                v3: {
                  nested: {
                    Peer: { fields: { address: { type: 'envoy.config.core.v3.Address', id: 1 }, principal: text(4) } },
                    HttpRequest: {
                      fields: {
                        id: text(1),
                        method: text(2),
                        headers: { keyType: 'string', type: 'string', id: 3 },
                        path: text(4),
                        host: text(5),
                        scheme: text(6),
                        size: { type: 'int64', id: 9 },
                        protocol: text(10),
                        body: text(11),
                        raw_body: { type: 'bytes', id: 12 },
                      },
                    },
                    Request: { fields: { time: { type: 'google.protobuf.Timestamp', id: 1 }, http: { type: 'HttpRequest', id: 2 } } },
                    AttributeContext: {
                      fields: {
                        source: { type: 'Peer', id: 1 },
                        destination: { type: 'Peer', id: 2 },
                        request: { type: 'Request', id: 4 },
                      },
                    },
                    CheckRequest: { fields: { attributes: { type: 'AttributeContext', id: 1 } } },
                    DeniedHttpResponse: {
                      fields: {
                        status: { type: 'envoy.type.v3.HttpStatus', id: 1 },
                        headers: many('envoy.config.core.v3.HeaderValueOption', 2),
                        body: text(3),
                      },
                    },
                    OkHttpResponse: {
                      fields: {
                        headers: many('envoy.config.core.v3.HeaderValueOption', 2),
                        headers_to_remove: many('string', 5),
                        response_headers_to_add: many('envoy.config.core.v3.HeaderValueOption', 6),
                        query_parameters_to_set: many('envoy.config.core.v3.QueryParameter', 7),
                        query_parameters_to_remove: many('string', 8),
                      },
                    },
                    CheckResponse: {
                      fields: {
                        status: { type: 'google.rpc.Status', id: 1 },
                        denied_response: { type: 'DeniedHttpResponse', id: 2 },
                        ok_response: { type: 'OkHttpResponse', id: 3 },
                      },
                    },
                    Authorization: { methods: { Check: { requestType: 'CheckRequest', responseType: 'CheckResponse' } } },
                  },
                },
              },
            },
          },
        },
      },
    },
  },
};
