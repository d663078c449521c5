-- Grammars (LPeg) for IP addresses in text, as RFC 3986 writes them; without captures.
--
-- Configuration: none. Use:
--   local ip = require "ip_address"
--   local host = lpeg.C(ip.v4 + ip.v6)
--
-- A pattern matches a prefix: "1.2.3.4.example" starts with an IPv4 address. Zone ids ("%eth0") are not part of one.

local l = require "lpeg"

local P, R = l.P, l.R

local digit, hex = R "09", R("09", "af", "AF")

local octet = "25" * R "05" + "2" * R "04" * digit + "1" * digit * digit + R "19" * digit + digit
local v4 = octet * "." * octet * "." * octet * "." * octet

local group = hex * hex ^ -3
local group_colon = group * ":"
local last_two = group_colon * group + v4

-- Up to n+1 groups before "::"; the colon stands first, so that a repetition never eats half of the "::".
local function head(n)
    return (group * (":" * group) ^ -n) ^ -1 * "::"
end

local function times(pattern, n)
    local out = P(true)
    for _ = 1, n do out = out * pattern end
    return out
end

local v6 = times(group_colon, 6) * last_two
    + "::" * times(group_colon, 5) * last_two
    + head(0) * times(group_colon, 4) * last_two
    + head(1) * times(group_colon, 3) * last_two
    + head(2) * times(group_colon, 2) * last_two
    + head(3) * group_colon * last_two
    + head(4) * last_two
    + head(5) * group
    + head(6)

return { v4 = v4, v6 = v6 }
