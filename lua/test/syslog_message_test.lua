if arg then package.path = string.gsub(arg[0], "[^/]*$", "?.lua;") .. package.path end
local harness = require "harness"
local test, equal = harness.test, harness.equal

local m = harness.load("x", {}, { source = [[m = require "syslog_message"]] }).env.m

local function v4(text) return { value = text, representation = "ipv4" } end

-- Every text with what must be captured from it; false where nothing may match.
local function check(name, grammar, cases)
    test(name, function()
        for text, expected in pairs(cases) do
            local fields = grammar:match(text)
            if expected == false then
                equal(fields, nil, text)
            else
                equal(fields, expected, text)
            end
        end
    end)
end

check("cron", m.get_prog_grammar "CRON", {
    ["(root) CMD ( cd / && run-parts (x) /etc/cron.hourly)"] = { cron_username = "root", cron_event = "CMD",
        cron_detail = " cd / && run-parts (x) /etc/cron.hourly" },
    ["(root) BEGIN EDIT (root)"] = { cron_username = "root", cron_event = "BEGIN EDIT", cron_detail = "root" },
    ["root"] = false,
})
check("crontab", m.get_prog_grammar "crontab", {
    ["(root) LIST (root)"] = { cron_username = "root", cron_event = "LIST", cron_detail = "root" },
})
check("dhclient", m.get_prog_grammar "dhclient", {
    ["DHCPDISCOVER on eth0 to 10.20.30.42 port 67 interval 18000"] = { dhcp_type = "DHCPDISCOVER",
        dhcp_client_interface = "eth0", dhcp_server_addr = v4 "10.20.30.42", dhcp_server_port = 67,
        dhcp_client_interval_seconds = 18000 },
    ["DHCPACK from 10.20.30.42"] = { dhcp_type = "DHCPACK", dhcp_server_addr = v4 "10.20.30.42" },
    ["DHCPREQUEST of 10.0.0.2 on eth0 to 10.0.0.1 port 67 (xid=0x1)"] = { dhcp_type = "DHCPREQUEST",
        dhcp_client_addr = v4 "10.0.0.2", dhcp_client_interface = "eth0", dhcp_server_addr = v4 "10.0.0.1",
        dhcp_server_port = 67 },
    ["bound to 10.20.30.40 -- renewal in 20346 seconds."] = { dhcp_client_addr = v4 "10.20.30.40",
        dhcp_client_renewal_seconds = 20346 },
    ["No working leases"] = false,
})
check("dhcpd", m.get_prog_grammar "dhcpd", {
    ["DHCPINFORM from 192.168.0.45 via 192.168.0.1"] = { dhcp_type = "DHCPINFORM",
        dhcp_client_addr = v4 "192.168.0.45", dhcp_source = "192.168.0.1" },
    ["DHCPDISCOVER from aa:bb:cc:dd:ee:ff (pc) via 10.2.3.4: unknown network segment"] = { dhcp_type = "DHCPDISCOVER",
        dhcp_client_hw_addr = "aa:bb:cc:dd:ee:ff", dhcp_client_hostname = "pc", dhcp_source = "10.2.3.4",
        dhcp_message = "unknown network segment" },
    ["DHCPACK to 192.168.2.3 (aa:bb:cc:dd:ee:ff) via vlan42"] = { dhcp_type = "DHCPACK",
        dhcp_client_addr = v4 "192.168.2.3", dhcp_client_hw_addr = "aa:bb:cc:dd:ee:ff", dhcp_source = "vlan42" },
    ["DHCPREQUEST for 10.0.0.5 (10.0.0.1) from aa:bb:cc:dd:ee:ff (pc) via eth0"] = { dhcp_type = "DHCPREQUEST",
        dhcp_client_addr = v4 "10.0.0.5", dhcp_server_addr = v4 "10.0.0.1", dhcp_client_hostname = "pc",
        dhcp_client_hw_addr = "aa:bb:cc:dd:ee:ff", dhcp_source = "eth0" },
    ["DHCPOFFER on 10.0.0.5 to aa:bb:cc:dd:ee:ff via eth0 lease-duration 600"] = { dhcp_type = "DHCPOFFER",
        dhcp_client_addr = v4 "10.0.0.5", dhcp_client_hw_addr = "aa:bb:cc:dd:ee:ff", dhcp_source = "eth0",
        dhcp_lease_time = 600 },
    ["DHCPRELEASE of 10.0.0.5 from aa:bb:cc:dd:ee:ff via eth0 (found)"] = { dhcp_type = "DHCPRELEASE",
        dhcp_client_addr = v4 "10.0.0.5", dhcp_client_hw_addr = "aa:bb:cc:dd:ee:ff", dhcp_source = "eth0",
        dhcp_message = "found" },
    ["balancing pool 7f01 10.0.0.0/24  total 100  free 50  backup 49  lts -1  max-own (+/-)10"] = {
        dhcp_pool_result = "balancing", dhcp_pool_id = "7f01", dhcp_network = "10.0.0.0/24", dhcp_lease_count = 100,
        dhcp_free_leases = 50, dhcp_backup_leases = 49, dhcp_lts = -1, dhcp_hold = 10 },
    ["balanced pool 7f01 10.0.0.0/24  total 100  free 50  backup 49  lts 0  max-misbal 15"] = {
        dhcp_pool_result = "balanced", dhcp_pool_id = "7f01", dhcp_network = "10.0.0.0/24", dhcp_lease_count = 100,
        dhcp_free_leases = 50, dhcp_backup_leases = 49, dhcp_lts = 0, dhcp_thresh = 15 },
    ["bind update on 10.0.0.5 from peer-a rejected: incoming update is less critical"] = {
        dhcp_client_addr = v4 "10.0.0.5", dhcp_failover_peer = "peer-a",
        dhcp_bind_update_status = "incoming update is less critical" },
    ["Wrote 3 leases"] = false,
})
check("groupadd", m.get_prog_grammar "groupadd", {
    ["group added to /etc/group: name=foo, GID=1001"] = { group_name = "foo", gid = 1001 },
    ["new group: name=foo, GID=1001"] = { group_name = "foo", gid = 1001 },
})
check("groupdel", m.get_prog_grammar "groupdel", {
    ["group 'foo' removed from /etc/group"] = { group_name = "foo", group_dbname = "/etc/group" },
    ["group 'foo' removed"] = { group_name = "foo" },
})
check("login", m.get_prog_grammar "login", {
    ["FAILED LOGIN (1) on '/dev/tty1' FOR 'root', Authentication failure"] = { failcount = 1, tty = "/dev/tty1",
        user = "root", pam_error = "Authentication failure" },
    ["FAILED LOGIN 2 FROM pc FOR bob, Authentication failure"] = { failcount = 2, from = "pc", user = "bob",
        pam_error = "Authentication failure" },
    ["ROOT LOGIN ON tty2"] = false,
})
check("named", m.get_prog_grammar "named", {
    ["lame server resolving '1.2.in-addr.arpa' (in '2.in-addr.arpa'?): 10.11.12.13#53"] = { dns_error = "lame server",
        dns_name = "1.2.in-addr.arpa", dns_domain = "2.in-addr.arpa", dns_addr = v4 "10.11.12.13", dns_port = 53 },
    ["host unreachable resolving 'a.example.org/AAAA/IN': 2001:503:231d::2:30#53"] = { dns_error = "host unreachable",
        dns_name = "a.example.org", dns_type = "AAAA", dns_class = "IN", dns_port = 53,
        dns_addr = { value = "2001:503:231d::2:30", representation = "ipv6" } },
    ["DNS format error from 1.2.3.4#53 resolving a.example/AAAA for client 10.2.3.4#60466: Name b -- invalid"] = {
        dns_error = "DNS format error", dns_addr = v4 "1.2.3.4", dns_port = 53, dns_name = "a.example",
        dns_type = "AAAA", dns_client_addr = v4 "10.2.3.4", dns_client_port = 60466,
        dns_message = "Name b -- invalid" },
    ["client 10.8.6.1#17069/key k (pc.example): view internal: transfer of 'pc.example/IN': IXFR started"] = {
        dns_client_addr = v4 "10.8.6.1", dns_client_port = 17069, dns_client_signer = "k", dns_name = "pc.example",
        dns_view = "internal", dns_message = "transfer of 'pc.example/IN': IXFR started" },
    ["success resolving 'ns1.example.com/AAAA' (in 'example.com'?) after disabling EDNS"] = {
        dns_name = "ns1.example.com", dns_type = "AAAA", dns_domain = "example.com", dns_message = "disabling EDNS" },
    ["zone 12.in-addr.arpa/IN/internal: sending notifies (serial 42)"] = { dns_domain = "12.in-addr.arpa",
        dns_class = "IN", dns_view = "internal", dns_message = "sending notifies", dns_serial = 42 },
    ["clients-per-query decreased to 22"] = { dns_clients_per_query = 22 },
    ["running"] = false,
})
check("puppet-agent", m.get_prog_grammar "puppet-agent", {
    ["(/Stage[main]/A/Exec[setcap (x) /usr/bin/h]/returns) executed successfully"] = {
        puppet_resource_path = "/Stage[main]/A/Exec[setcap (x) /usr/bin/h]", puppet_parameter = "returns",
        puppet_change = "executed successfully" },
    ["(/Stage[main]/L/Service[l]/ensure) ensure changed 'stopped' to 'running'"] = {
        puppet_resource_path = "/Stage[main]/L/Service[l]", puppet_parameter = "ensure",
        puppet_ensure_parameter = "ensure", puppet_old_value = "stopped", puppet_new_value = "running" },
    ["(/Stage[main]/E/File[/var/log/e]/owner) current_value root, should be e (noop)"] = {
        puppet_resource_path = "/Stage[main]/E/File[/var/log/e]", puppet_parameter = "owner",
        puppet_current_value = "root", puppet_should_value = "e", puppet_noop = true },
    ["(/Stage[main]/E/F[a]/b) current_value r, should be e (noop) (previously recorded value was x)"] = {
        puppet_resource_path = "/Stage[main]/E/F[a]", puppet_parameter = "b", puppet_current_value = "r",
        puppet_should_value = "e", puppet_noop = true, puppet_historical_value = "x" },
    ["(/Stage[main]/H/File[/etc/h.toml]/content)"] = { puppet_resource_path = "/Stage[main]/H/File[/etc/h.toml]",
        puppet_parameter = "content" },
    ["(/Stage[main]/H/File[/etc/h.toml]) Scheduling refresh of Service[heka]"] = {
        puppet_resource_path = "/Stage[main]/H/File[/etc/h.toml]", puppet_callback = "refresh",
        puppet_callback_target = "Service[heka]" },
    ["(Class[L::Service]) Would have triggered 'refresh' from 1 events"] = {
        puppet_resource_path = "Class[L::Service]", puppet_msg = "Would have triggered", puppet_callback = "refresh",
        puppet_events_count = 1 },
    ["(/Stage[main]/H/File[/etc/h]) Filebucketed /etc/h to main with sum 7035"] = {
        puppet_resource_path = "/Stage[main]/H/File[/etc/h]", puppet_file_path = "/etc/h", puppet_bucket = "main",
        puppet_file_sum = "7035" },
    ["Finished catalog run in 7.11 seconds"] = { puppet_msg = "Finished catalog run", puppet_benchmark_seconds = 7.11 },
    ["Retrieving plugin"] = false,
})
check("sshd", m.get_prog_grammar "sshd", {
    ["Accepted publickey for sathieu from 10.11.12.13 port 4242 ssh2: RSA 12:ab"] = { sshd_authmsg = "Accepted",
        sshd_method = "publickey", remote_user = "sathieu", remote_addr = v4 "10.11.12.13", remote_port = 4242,
        sshd_info = "RSA 12:ab" },
    ["Failed keyboard-interactive/pam for invalid user a from b from ::1 port 1 ssh2"] = { sshd_authmsg = "Failed",
        sshd_method = "keyboard-interactive", sshd_submethod = "pam", remote_user = "a from b", remote_port = 1,
        remote_addr = { value = "::1", representation = "ipv6" } },
    ["Received disconnect from 10.2.3.4 port 22:11: Bye [preauth]"] = { remote_addr = v4 "10.2.3.4", remote_port = 22,
        disconnect_reason = 11, disconnect_msg = "Bye [preauth]" },
    -- Real lines.
    ["Failed password for root from 112.95.230.3 port 45378 ssh2"] = { sshd_authmsg = "Failed",
        sshd_method = "password", remote_user = "root", remote_addr = v4 "112.95.230.3", remote_port = 45378 },
    ["Received disconnect from 112.95.230.3: 11: Bye Bye [preauth]"] = { remote_addr = v4 "112.95.230.3",
        disconnect_reason = 11, disconnect_msg = "Bye Bye [preauth]" },
    ["Invalid user webmaster from 173.234.31.186"] = { remote_user = "webmaster", remote_addr = v4 "173.234.31.186" },
    ["reverse mapping checking getaddrinfo for ns.marryaldkfaczcz.com [173.234.31.186] failed - POSSIBLE BREAK-IN ATTEMPT!"]
        = { remote_host = "ns.marryaldkfaczcz.com", remote_addr = v4 "173.234.31.186" },
    ["Connection closed by 173.234.31.186 [preauth]"] = { remote_addr = v4 "173.234.31.186" },
    ["Did not receive identification string from 103.99.0.122"] = { remote_addr = v4 "103.99.0.122" },
    ["error: Received disconnect from 103.99.0.122: 14: No more user authentication methods available. [preauth]"] = {
        sshd_errorlevel = "error", sshd_error =
        "Received disconnect from 103.99.0.122: 14: No more user authentication methods available. [preauth]" },
    ["subsystem request for sftp by user bob"] = { sshd_subsystem = "sftp", remote_user = "bob" },
    ["Received signal 15; terminating."] = { signal = "15" },
    ["Server listening on 0.0.0.0 port 22."] = { listen_address = "0.0.0.0", listen_port = "22" },
    ["Exiting"] = false,
})
check("su", m.get_prog_grammar "su", {
    ["Successful su for root by bob"] = { su_status = "Successful", su_name = "root", su_oldname = "bob" },
    ["FAILED su for root by bob"] = { su_status = "FAILED", su_name = "root", su_oldname = "bob" },
    ["(to root) bob on pts/0"] = { su_name = "root", su_oldname = "bob" },
    ["+ /dev/pts/0 bob:root"] = { su_status = "+", su_name = "root", su_oldname = "bob" },
    ["pam_authenticate: Authentication failure"] = { pam_error = "Authentication failure" },
})
check("sudo", m.get_prog_grammar "sudo", {
    ["usrnagios : TTY=unknown ; PWD=/home/usrnagios ; USER=root ; COMMAND=/usr/bin/ctdb -Y status"] = {
        sudo_message = "usrnagios", sudo_tty = "unknown", sudo_pwd = "/home/usrnagios", sudo_user = "root",
        sudo_command = "/usr/bin/ctdb -Y status" },
    ["  bob : 3 incorrect password attempts ; TTY=pts/0 ; PWD=/ ; USER=root ; GROUP=g ; TSID=1 ; ENV=A=1 ; COMMAND=/a ; b"] = {
        sudo_message = "bob : 3 incorrect password attempts", sudo_tty = "pts/0", sudo_pwd = "/", sudo_user = "root",
        sudo_group = "g", sudo_tsid = "1", sudo_env = "A=1", sudo_command = "/a ; b" },
    ["unable to resolve host"] = false,
})
check("systemd-logind", m.get_prog_grammar "systemd-logind", {
    ["New session c43046 of user a.b."] = { sd_message = "SESSION_START", session_id = 43046, user_id = "a.b" },
    ["Removed session 42."] = { sd_message = "SESSION_STOP", session_id = 42 },
    ["Power key pressed."] = false,
})
check("useradd", m.get_prog_grammar "useradd", {
    ["new user: name=foo, UID=1000, GID=1001, home=/home/foo, shell=/bin/sh"] = { user_name = "foo", uid = 1000,
        gid = 1001, user_home = "/home/foo", user_shell = "/bin/sh" },
    ["add 'foo' to shadow group 'bar'"] = { user_name = "foo", group_name = "bar" },
})
check("PAM", m.get_wildcard_grammar "PAM", {
    ["pam_unix(login:session): session opened for user sathieu by LOGIN(uid=1000)"] = { pam_module = "pam_unix",
        pam_service = "login", pam_type = "session", pam_action = "session opened", user_name = "sathieu",
        login_name = "LOGIN", uid = 1000 },
    ["pam_unix(login:session): session closed for user sathieu"] = { pam_module = "pam_unix", pam_service = "login",
        pam_type = "session", pam_action = "session closed", user_name = "sathieu" },
    ["pam_unix(sshd:auth): check pass; user unknown"] = { pam_module = "pam_unix", pam_service = "sshd",
        pam_type = "auth", pam_action = "check pass; user unknown" },
    ["pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=112.95.230.3  user=root"] = {
        pam_module = "pam_unix", pam_service = "sshd", pam_type = "auth", pam_action = "authentication failure",
        logname = "", uid = 0, euid = 0, tty = "ssh", ruser = "", rhost = "112.95.230.3", user = "root" },
    ["nothing"] = false,
})

test("unknown names", function()
    equal(m.get_prog_grammar "nobody", nil)
    equal(m.get_wildcard_grammar "nobody", nil)
    equal(m.get_wildcard_grammar().PAM, m.get_wildcard_grammar "PAM")
end)

harness.finish()
