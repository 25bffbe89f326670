"""The wire: the sniffer's capture, tshark's dissection of it, and active probes of the links."""
