// A certified provider of OpenID Connect logins whose `sub` is an ORCID iD, for tests.
// Arguments: the port, the client's redirect address, how the client shows itself. Any account logs in; its name is its iD.
import { Provider } from "oidc-provider";

const [port, redirect, method] = process.argv.slice(2);
const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [
    {
      client_id: "pith",
      client_secret: "a secret between the registry and its provider",
      redirect_uris: [redirect],
      response_types: ["code"],
      grant_types: ["authorization_code"],
      token_endpoint_auth_method: method,
    },
  ],
  findAccount: (_context, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  conformIdTokenClaims: false,
  clientAuthMethods: [method],
  pkce: { required: () => true },
  features: { devInteractions: { enabled: true } },
  cookies: { keys: ["for tests"] },
  ttl: { AccessToken: 60, AuthorizationCode: 60, Grant: 60, IdToken: 60, Interaction: 60, Session: 60 },
});
provider.listen(Number(port), "127.0.0.1", () => console.log("ready"));
