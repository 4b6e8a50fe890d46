"""
The gateway: workers keep a connection open, and calls go to them over it.

    gateway      the rules: what becomes of connections, requests and leases; pure
    connections  one worker's connection: its phases, and who may be asked next
    requests     one call on its way: whose it is, its lease, who wants to know that it is stored
    handshake    what a worker says of itself, checked
    messages     the frames, and the calls and replies in them
    times        how long everything may take
    sessions     tokens between the start request and the handshake
    driver       sockets, clock and server around the rules
    doors        the HTTP side: start, flush, the list of workers

Law: gateway, connections, requests, handshake, messages and times know no socket, clock or task;
time is passed in. What needs protobuf is imported when the first worker comes.

Where the real Dev Server is less careful, on purpose:

- A worker that is lost before it acknowledged a request costs no time and no attempt: the same
  request goes to the next worker at once. One that was acknowledged is its worker's until the
  lease ends; it may come back and extend it over another connection, or flush its reply.
- A request that nobody acknowledged is sent again when its lease has ended, and that is all; the
  other also takes an attempt for it, and ignores the reply.
- The same lease may be extended twice: the first answer may have been lost with its connection.
- A run that is cancelled loses its lease, so that its worker can stop.
- A reply is acknowledged once it is stored.
- A worker that has fallen silent is told by a close frame (1011); there its socket breaks.
- A server that ends says GATEWAY_CLOSING, and lets calls in progress finish.
"""
