"""HTTP/3: requests on QUIC streams, for entry points that ask for it (`entryPoints.<name>.http3`).

`server.py` reads an entry point's UDP socket and finds the connection of each packet; `driving.py` and
`connection.py` are one QUIC connection, its packets and its life; `link.py` and `serving.py` make requests of its
streams and `exchange.py` answers them, as the room next door does for HTTP/2. The modules named `quic*` and
`qpack` are the only doors to aioquic and pylsqpack, which the extra `pointsman[http3]` brings; nobody imports
them where no entry point asks for HTTP/3.
"""
