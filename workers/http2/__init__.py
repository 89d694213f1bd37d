"""HTTP/2: frames and streams (both roles), and the server's side of client connections."""
