//! Finds other nodes on the local network, and lets them find this one (mDNS). What it finds are hints for addresses, never for identity.
