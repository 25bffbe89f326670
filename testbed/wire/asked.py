"""What tshark is asked for each packet: its own names of fields, in the order of a row's values."""

from __future__ import annotations

FIELDS = (
    "frame.number", "frame.time_epoch", "eth.src", "eth.dst", "eth.type",
    "ip.src", "ip.dst", "ipv6.src", "ipv6.dst", "ip.proto", "icmp.type", "icmpv6.type",
    "tcp.srcport", "tcp.dstport", "udp.srcport", "udp.dstport",
    "tcp.stream", "tcp.seq_raw", "tcp.flags", "tcp.payload", "udp.payload", "data.data",
    "dns.flags.response", "dns.qry.name", "dns.qry.type",
    "tls.handshake.type", "tls.handshake.version", "tls.handshake.extensions.supported_version",
    "tls.handshake.extension.type", "tls.handshake.extensions_key_share_group",
    "tls.handshake.extensions_key_share_key_exchange", "tls.handshake.verify_data",
)  # fmt: skip
"""tshark's names of what is asked for each packet; a row has their values in this order."""

OF_IP = ("ip.ttl", "ip.dsfield", "ip.flags", "ip.opt.type", "tcp.urgent_pointer")
OF_TCP = (
    "ip.id", "tcp.flags", "tcp.window_size_value", "tcp.option_kind", "tcp.options.mss_val",
    "tcp.options.wscale.shift",
)  # fmt: skip
OF_TLS = (
    "tls.record.version", "tls.handshake.version", "tls.handshake.session_id_length",
    "tls.handshake.ciphersuite", "tls.handshake.comp_method", "tls.handshake.extension.type",
    "tls.handshake.extension.len", "tls.handshake.extensions.supported_version",
    "tls.handshake.extensions_supported_group", "tls.handshake.extensions_key_share_group",
    "tls.handshake.extensions_ec_point_format", "tls.handshake.sig_hash_alg",
    "tls.extension.psk_ke_mode", "tls.handshake.extensions_server_name",
    "tls.handshake.extensions_alpn_str",
)  # fmt: skip
"""What a sender could choose in any packet, in SYN and SYN-ACK, and in hellos."""
ASKED = tuple(dict.fromkeys(FIELDS + OF_IP + OF_TCP + OF_TLS))
"""All that tshark is asked for, in this order."""
