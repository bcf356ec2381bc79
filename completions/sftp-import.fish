# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_sftp_import_global_optspecs
    string join \n config= json h/help V/version
end

function __fish_sftp_import_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_sftp_import_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_sftp_import_using_subcommand
    set -l cmd (__fish_sftp_import_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c sftp-import -n "__fish_sftp_import_needs_command" -l config -d 'Configuration file [default: /etc/sftp-import/config.toml, if there is one]' -r -F
complete -c sftp-import -n "__fish_sftp_import_needs_command" -l json -d 'Print JSON instead of text'
complete -c sftp-import -n "__fish_sftp_import_needs_command" -s h -l help -d 'Print help'
complete -c sftp-import -n "__fish_sftp_import_needs_command" -s V -l version -d 'Print version'
complete -c sftp-import -n "__fish_sftp_import_needs_command" -f -a "account" -d 'Partners: who may upload'
complete -c sftp-import -n "__fish_sftp_import_needs_command" -f -a "key" -d 'The keys that accounts log in with'
complete -c sftp-import -n "__fish_sftp_import_needs_command" -f -a "import" -d 'What became of the uploads'
complete -c sftp-import -n "__fish_sftp_import_needs_command" -f -a "webhook" -d 'Endpoints that hear of an account\'s imports'
complete -c sftp-import -n "__fish_sftp_import_needs_command" -f -a "delivery" -d 'Mails and webhook messages, sent and waiting'
complete -c sftp-import -n "__fish_sftp_import_needs_command" -f -a "activity" -d 'What happened, for other programs'
complete -c sftp-import -n "__fish_sftp_import_needs_command" -f -a "check" -d 'Check local files by the rules of an import; nothing is stored'
complete -c sftp-import -n "__fish_sftp_import_needs_command" -f -a "ingest" -d 'Import local files now, for an account'
complete -c sftp-import -n "__fish_sftp_import_needs_command" -f -a "config" -d 'The configuration file'
complete -c sftp-import -n "__fish_sftp_import_needs_command" -f -a "provision" -d 'Bring Unix users, folders, published keys and the state database to what the registry says'
complete -c sftp-import -n "__fish_sftp_import_needs_command" -f -a "registry" -d 'The registry: the accounts and keys that root approved'
complete -c sftp-import -n "__fish_sftp_import_needs_command" -f -a "doctor" -d 'Examine every link of the chain, and say how to mend the one that doesn\'t hold'
complete -c sftp-import -n "__fish_sftp_import_needs_command" -f -a "backup" -d 'Copy the state database and the registry to a new file, while everything goes on'
complete -c sftp-import -n "__fish_sftp_import_needs_command" -f -a "restore" -d 'Put a copy of the state database in its place; the sidecar must be stopped'
complete -c sftp-import -n "__fish_sftp_import_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand account; and not __fish_seen_subcommand_from add list show set suspend resume remove export erase help" -l config -d 'Configuration file [default: /etc/sftp-import/config.toml, if there is one]' -r -F
complete -c sftp-import -n "__fish_sftp_import_using_subcommand account; and not __fish_seen_subcommand_from add list show set suspend resume remove export erase help" -l json -d 'Print JSON instead of text'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand account; and not __fish_seen_subcommand_from add list show set suspend resume remove export erase help" -s h -l help -d 'Print help'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand account; and not __fish_seen_subcommand_from add list show set suspend resume remove export erase help" -f -a "add" -d 'Add an account; its Unix user and folders are made with its first key. One of --email, --recipient-domain and --any-recipient is required'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand account; and not __fish_seen_subcommand_from add list show set suspend resume remove export erase help" -f -a "list" -d 'List all accounts'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand account; and not __fish_seen_subcommand_from add list show set suspend resume remove export erase help" -f -a "show" -d 'Show an account: its user, folder, keys and last activity'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand account; and not __fish_seen_subcommand_from add list show set suspend resume remove export erase help" -f -a "set" -d 'Change an account\'s contact, its webhook, or the allowed recipients of its mail. What is not given stays as it is'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand account; and not __fish_seen_subcommand_from add list show set suspend resume remove export erase help" -f -a "suspend" -d 'Stop all logins of an account and end its sessions; nothing is deleted'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand account; and not __fish_seen_subcommand_from add list show set suspend resume remove export erase help" -f -a "resume" -d 'Let a suspended account log in again'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand account; and not __fish_seen_subcommand_from add list show set suspend resume remove export erase help" -f -a "remove" -d 'Remove an account: its keys, sessions, Unix user, and its folder with all that lies in it. Imports that were claimed, what they stored and the activity log stay'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand account; and not __fish_seen_subcommand_from add list show set suspend resume remove export erase help" -f -a "export" -d 'Copy all that there is of an account into a new folder, while everything goes on'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand account; and not __fish_seen_subcommand_from add list show set suspend resume remove export erase help" -f -a "erase" -d 'Erase an account: all that `remove` takes, and its imports, what they stored, its deliveries and its activity. An import that is running is waited for'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand account; and not __fish_seen_subcommand_from add list show set suspend resume remove export erase help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand account; and __fish_seen_subcommand_from add" -l email -d 'The account\'s own contact: gets mail when an import fails, and mail whose clientEmail is not an allowed recipient' -r
complete -c sftp-import -n "__fish_sftp_import_using_subcommand account; and __fish_seen_subcommand_from add" -l recipient -d 'Allow this address as a manifest\'s clientEmail, beside the contact (may be given several times); "" for none' -r
complete -c sftp-import -n "__fish_sftp_import_using_subcommand account; and __fish_seen_subcommand_from add" -l recipient-domain -d 'Allow all addresses at this domain, but none at its subdomains (may be given several times); "" for none [default for a new rule: the contact\'s domain, unless it is a free-mail provider\'s]' -r
complete -c sftp-import -n "__fish_sftp_import_using_subcommand account; and __fish_seen_subcommand_from add" -l config -d 'Configuration file [default: /etc/sftp-import/config.toml, if there is one]' -r -F
complete -c sftp-import -n "__fish_sftp_import_using_subcommand account; and __fish_seen_subcommand_from add" -l any-recipient -d 'Allow any address'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand account; and __fish_seen_subcommand_from add" -l json -d 'Print JSON instead of text'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand account; and __fish_seen_subcommand_from add" -s h -l help -d 'Print help'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand account; and __fish_seen_subcommand_from list" -l config -d 'Configuration file [default: /etc/sftp-import/config.toml, if there is one]' -r -F
complete -c sftp-import -n "__fish_sftp_import_using_subcommand account; and __fish_seen_subcommand_from list" -l json -d 'Print JSON instead of text'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand account; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand account; and __fish_seen_subcommand_from show" -l config -d 'Configuration file [default: /etc/sftp-import/config.toml, if there is one]' -r -F
complete -c sftp-import -n "__fish_sftp_import_using_subcommand account; and __fish_seen_subcommand_from show" -l json -d 'Print JSON instead of text'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand account; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand account; and __fish_seen_subcommand_from set" -l webhook -d 'The webhook that is told of this account\'s imports; "" for none' -r
complete -c sftp-import -n "__fish_sftp_import_using_subcommand account; and __fish_seen_subcommand_from set" -l email -d 'The account\'s own contact; "" for none' -r
complete -c sftp-import -n "__fish_sftp_import_using_subcommand account; and __fish_seen_subcommand_from set" -l recipient -d 'Allow this address as a manifest\'s clientEmail, beside the contact (may be given several times); "" for none' -r
complete -c sftp-import -n "__fish_sftp_import_using_subcommand account; and __fish_seen_subcommand_from set" -l recipient-domain -d 'Allow all addresses at this domain, but none at its subdomains (may be given several times); "" for none [default for a new rule: the contact\'s domain, unless it is a free-mail provider\'s]' -r
complete -c sftp-import -n "__fish_sftp_import_using_subcommand account; and __fish_seen_subcommand_from set" -l config -d 'Configuration file [default: /etc/sftp-import/config.toml, if there is one]' -r -F
complete -c sftp-import -n "__fish_sftp_import_using_subcommand account; and __fish_seen_subcommand_from set" -l any-recipient -d 'Allow any address'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand account; and __fish_seen_subcommand_from set" -l json -d 'Print JSON instead of text'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand account; and __fish_seen_subcommand_from set" -s h -l help -d 'Print help'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand account; and __fish_seen_subcommand_from suspend" -l config -d 'Configuration file [default: /etc/sftp-import/config.toml, if there is one]' -r -F
complete -c sftp-import -n "__fish_sftp_import_using_subcommand account; and __fish_seen_subcommand_from suspend" -l json -d 'Print JSON instead of text'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand account; and __fish_seen_subcommand_from suspend" -s h -l help -d 'Print help'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand account; and __fish_seen_subcommand_from resume" -l config -d 'Configuration file [default: /etc/sftp-import/config.toml, if there is one]' -r -F
complete -c sftp-import -n "__fish_sftp_import_using_subcommand account; and __fish_seen_subcommand_from resume" -l json -d 'Print JSON instead of text'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand account; and __fish_seen_subcommand_from resume" -s h -l help -d 'Print help'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand account; and __fish_seen_subcommand_from remove" -l config -d 'Configuration file [default: /etc/sftp-import/config.toml, if there is one]' -r -F
complete -c sftp-import -n "__fish_sftp_import_using_subcommand account; and __fish_seen_subcommand_from remove" -l yes -d 'Don\'t ask'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand account; and __fish_seen_subcommand_from remove" -l force -d 'Remove it even while its imports are waiting or running; they go on, but their answers have no results folder to go to'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand account; and __fish_seen_subcommand_from remove" -l json -d 'Print JSON instead of text'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand account; and __fish_seen_subcommand_from remove" -s h -l help -d 'Print help'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand account; and __fish_seen_subcommand_from export" -l config -d 'Configuration file [default: /etc/sftp-import/config.toml, if there is one]' -r -F
complete -c sftp-import -n "__fish_sftp_import_using_subcommand account; and __fish_seen_subcommand_from export" -l json -d 'Print JSON instead of text'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand account; and __fish_seen_subcommand_from export" -s h -l help -d 'Print help'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand account; and __fish_seen_subcommand_from erase" -l config -d 'Configuration file [default: /etc/sftp-import/config.toml, if there is one]' -r -F
complete -c sftp-import -n "__fish_sftp_import_using_subcommand account; and __fish_seen_subcommand_from erase" -l yes -d 'Don\'t ask'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand account; and __fish_seen_subcommand_from erase" -l json -d 'Print JSON instead of text'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand account; and __fish_seen_subcommand_from erase" -s h -l help -d 'Print help'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand account; and __fish_seen_subcommand_from help" -f -a "add" -d 'Add an account; its Unix user and folders are made with its first key. One of --email, --recipient-domain and --any-recipient is required'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand account; and __fish_seen_subcommand_from help" -f -a "list" -d 'List all accounts'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand account; and __fish_seen_subcommand_from help" -f -a "show" -d 'Show an account: its user, folder, keys and last activity'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand account; and __fish_seen_subcommand_from help" -f -a "set" -d 'Change an account\'s contact, its webhook, or the allowed recipients of its mail. What is not given stays as it is'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand account; and __fish_seen_subcommand_from help" -f -a "suspend" -d 'Stop all logins of an account and end its sessions; nothing is deleted'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand account; and __fish_seen_subcommand_from help" -f -a "resume" -d 'Let a suspended account log in again'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand account; and __fish_seen_subcommand_from help" -f -a "remove" -d 'Remove an account: its keys, sessions, Unix user, and its folder with all that lies in it. Imports that were claimed, what they stored and the activity log stay'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand account; and __fish_seen_subcommand_from help" -f -a "export" -d 'Copy all that there is of an account into a new folder, while everything goes on'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand account; and __fish_seen_subcommand_from help" -f -a "erase" -d 'Erase an account: all that `remove` takes, and its imports, what they stored, its deliveries and its activity. An import that is running is waited for'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand account; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand key; and not __fish_seen_subcommand_from add list revoke help" -l config -d 'Configuration file [default: /etc/sftp-import/config.toml, if there is one]' -r -F
complete -c sftp-import -n "__fish_sftp_import_using_subcommand key; and not __fish_seen_subcommand_from add list revoke help" -l json -d 'Print JSON instead of text'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand key; and not __fish_seen_subcommand_from add list revoke help" -s h -l help -d 'Print help'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand key; and not __fish_seen_subcommand_from add list revoke help" -f -a "add" -d 'Add a public key to an account; the first one makes its Unix user and folders'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand key; and not __fish_seen_subcommand_from add list revoke help" -f -a "list" -d 'List keys'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand key; and not __fish_seen_subcommand_from add list revoke help" -f -a "revoke" -d 'Revoke a key: when this returns, no login with it succeeds. Sessions that are open go on (`account suspend` ends them)'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand key; and not __fish_seen_subcommand_from add list revoke help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand key; and __fish_seen_subcommand_from add" -l name -d 'What to call the key, such as the machine it is for' -r
complete -c sftp-import -n "__fish_sftp_import_using_subcommand key; and __fish_seen_subcommand_from add" -l from -d 'Addresses and networks the key may be used from, such as 192.0.2.7,2001:db8::/32' -r
complete -c sftp-import -n "__fish_sftp_import_using_subcommand key; and __fish_seen_subcommand_from add" -l expires -d 'When the key stops working: a date (its first moment in UTC) or an RFC 3339 instant' -r
complete -c sftp-import -n "__fish_sftp_import_using_subcommand key; and __fish_seen_subcommand_from add" -l config -d 'Configuration file [default: /etc/sftp-import/config.toml, if there is one]' -r -F
complete -c sftp-import -n "__fish_sftp_import_using_subcommand key; and __fish_seen_subcommand_from add" -l again -d 'Add it although it was revoked for this account'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand key; and __fish_seen_subcommand_from add" -l json -d 'Print JSON instead of text'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand key; and __fish_seen_subcommand_from add" -s h -l help -d 'Print help'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand key; and __fish_seen_subcommand_from list" -l config -d 'Configuration file [default: /etc/sftp-import/config.toml, if there is one]' -r -F
complete -c sftp-import -n "__fish_sftp_import_using_subcommand key; and __fish_seen_subcommand_from list" -l all -d 'Revoked ones too'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand key; and __fish_seen_subcommand_from list" -l json -d 'Print JSON instead of text'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand key; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand key; and __fish_seen_subcommand_from revoke" -l config -d 'Configuration file [default: /etc/sftp-import/config.toml, if there is one]' -r -F
complete -c sftp-import -n "__fish_sftp_import_using_subcommand key; and __fish_seen_subcommand_from revoke" -l json -d 'Print JSON instead of text'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand key; and __fish_seen_subcommand_from revoke" -s h -l help -d 'Print help'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand key; and __fish_seen_subcommand_from help" -f -a "add" -d 'Add a public key to an account; the first one makes its Unix user and folders'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand key; and __fish_seen_subcommand_from help" -f -a "list" -d 'List keys'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand key; and __fish_seen_subcommand_from help" -f -a "revoke" -d 'Revoke a key: when this returns, no login with it succeeds. Sessions that are open go on (`account suspend` ends them)'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand key; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand import; and not __fish_seen_subcommand_from list show watch errors retry log help" -l config -d 'Configuration file [default: /etc/sftp-import/config.toml, if there is one]' -r -F
complete -c sftp-import -n "__fish_sftp_import_using_subcommand import; and not __fish_seen_subcommand_from list show watch errors retry log help" -l json -d 'Print JSON instead of text'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand import; and not __fish_seen_subcommand_from list show watch errors retry log help" -s h -l help -d 'Print help'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand import; and not __fish_seen_subcommand_from list show watch errors retry log help" -f -a "list" -d 'List imports, newest first'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand import; and not __fish_seen_subcommand_from list show watch errors retry log help" -f -a "show" -d 'Show one import\'s report'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand import; and not __fish_seen_subcommand_from list show watch errors retry log help" -f -a "watch" -d 'Show how far an import is until it ends, then its report; exit status 1 when it failed'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand import; and not __fish_seen_subcommand_from list show watch errors retry log help" -f -a "errors" -d 'Print the path of an import\'s error file'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand import; and not __fish_seen_subcommand_from list show watch errors retry log help" -f -a "retry" -d 'Run a failed import again from its spooled files'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand import; and not __fish_seen_subcommand_from list show watch errors retry log help" -f -a "log" -d 'Show the activity log, oldest first'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand import; and not __fish_seen_subcommand_from list show watch errors retry log help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand import; and __fish_seen_subcommand_from list" -l account -d 'Only this account\'s' -r
complete -c sftp-import -n "__fish_sftp_import_using_subcommand import; and __fish_seen_subcommand_from list" -l state -d 'Only those in this state; may be given several times' -r
complete -c sftp-import -n "__fish_sftp_import_using_subcommand import; and __fish_seen_subcommand_from list" -l since -d 'Only those received since: 2h, 3d, 2026-11-23, 2026-11-23T20:00:00Z' -r
complete -c sftp-import -n "__fish_sftp_import_using_subcommand import; and __fish_seen_subcommand_from list" -l type -d 'Only those of events, or of profiles' -r
complete -c sftp-import -n "__fish_sftp_import_using_subcommand import; and __fish_seen_subcommand_from list" -l manifest -d 'Only those whose manifest\'s name contains this' -r
complete -c sftp-import -n "__fish_sftp_import_using_subcommand import; and __fish_seen_subcommand_from list" -l limit -d 'At most so many' -r
complete -c sftp-import -n "__fish_sftp_import_using_subcommand import; and __fish_seen_subcommand_from list" -l config -d 'Configuration file [default: /etc/sftp-import/config.toml, if there is one]' -r -F
complete -c sftp-import -n "__fish_sftp_import_using_subcommand import; and __fish_seen_subcommand_from list" -l json -d 'Print JSON instead of text'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand import; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand import; and __fish_seen_subcommand_from show" -l config -d 'Configuration file [default: /etc/sftp-import/config.toml, if there is one]' -r -F
complete -c sftp-import -n "__fish_sftp_import_using_subcommand import; and __fish_seen_subcommand_from show" -l json -d 'Print JSON instead of text'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand import; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand import; and __fish_seen_subcommand_from watch" -l config -d 'Configuration file [default: /etc/sftp-import/config.toml, if there is one]' -r -F
complete -c sftp-import -n "__fish_sftp_import_using_subcommand import; and __fish_seen_subcommand_from watch" -l json -d 'Print JSON instead of text'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand import; and __fish_seen_subcommand_from watch" -s h -l help -d 'Print help'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand import; and __fish_seen_subcommand_from errors" -l config -d 'Configuration file [default: /etc/sftp-import/config.toml, if there is one]' -r -F
complete -c sftp-import -n "__fish_sftp_import_using_subcommand import; and __fish_seen_subcommand_from errors" -l json -d 'Print JSON instead of text'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand import; and __fish_seen_subcommand_from errors" -s h -l help -d 'Print help'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand import; and __fish_seen_subcommand_from retry" -l config -d 'Configuration file [default: /etc/sftp-import/config.toml, if there is one]' -r -F
complete -c sftp-import -n "__fish_sftp_import_using_subcommand import; and __fish_seen_subcommand_from retry" -l json -d 'Print JSON instead of text'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand import; and __fish_seen_subcommand_from retry" -s h -l help -d 'Print help'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand import; and __fish_seen_subcommand_from log" -l account -d 'Only this account\'s' -r
complete -c sftp-import -n "__fish_sftp_import_using_subcommand import; and __fish_seen_subcommand_from log" -l limit -d 'At most so many lines' -r
complete -c sftp-import -n "__fish_sftp_import_using_subcommand import; and __fish_seen_subcommand_from log" -l config -d 'Configuration file [default: /etc/sftp-import/config.toml, if there is one]' -r -F
complete -c sftp-import -n "__fish_sftp_import_using_subcommand import; and __fish_seen_subcommand_from log" -l json -d 'Print JSON instead of text'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand import; and __fish_seen_subcommand_from log" -s h -l help -d 'Print help'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand import; and __fish_seen_subcommand_from help" -f -a "list" -d 'List imports, newest first'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand import; and __fish_seen_subcommand_from help" -f -a "show" -d 'Show one import\'s report'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand import; and __fish_seen_subcommand_from help" -f -a "watch" -d 'Show how far an import is until it ends, then its report; exit status 1 when it failed'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand import; and __fish_seen_subcommand_from help" -f -a "errors" -d 'Print the path of an import\'s error file'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand import; and __fish_seen_subcommand_from help" -f -a "retry" -d 'Run a failed import again from its spooled files'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand import; and __fish_seen_subcommand_from help" -f -a "log" -d 'Show the activity log, oldest first'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand import; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand webhook; and not __fish_seen_subcommand_from add list test rotate enable remove help" -l config -d 'Configuration file [default: /etc/sftp-import/config.toml, if there is one]' -r -F
complete -c sftp-import -n "__fish_sftp_import_using_subcommand webhook; and not __fish_seen_subcommand_from add list test rotate enable remove help" -l json -d 'Print JSON instead of text'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand webhook; and not __fish_seen_subcommand_from add list test rotate enable remove help" -s h -l help -d 'Print help'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand webhook; and not __fish_seen_subcommand_from add list test rotate enable remove help" -f -a "add" -d 'Add an endpoint to an account, and print its secret: it is not shown again'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand webhook; and not __fish_seen_subcommand_from add list test rotate enable remove help" -f -a "list" -d 'List endpoints'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand webhook; and not __fish_seen_subcommand_from add list test rotate enable remove help" -f -a "test" -d 'Send one signed test message now, and say what came back'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand webhook; and not __fish_seen_subcommand_from add list test rotate enable remove help" -f -a "rotate" -d 'Give an endpoint a new secret, and print it: it is not shown again'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand webhook; and not __fish_seen_subcommand_from add list test rotate enable remove help" -f -a "enable" -d 'Send to a disabled endpoint again from now on'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand webhook; and not __fish_seen_subcommand_from add list test rotate enable remove help" -f -a "remove" -d 'Remove an endpoint; what is pending for it is given up'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand webhook; and not __fish_seen_subcommand_from add list test rotate enable remove help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand webhook; and __fish_seen_subcommand_from add" -l config -d 'Configuration file [default: /etc/sftp-import/config.toml, if there is one]' -r -F
complete -c sftp-import -n "__fish_sftp_import_using_subcommand webhook; and __fish_seen_subcommand_from add" -l json -d 'Print JSON instead of text'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand webhook; and __fish_seen_subcommand_from add" -s h -l help -d 'Print help'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand webhook; and __fish_seen_subcommand_from list" -l config -d 'Configuration file [default: /etc/sftp-import/config.toml, if there is one]' -r -F
complete -c sftp-import -n "__fish_sftp_import_using_subcommand webhook; and __fish_seen_subcommand_from list" -l json -d 'Print JSON instead of text'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand webhook; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand webhook; and __fish_seen_subcommand_from test" -l config -d 'Configuration file [default: /etc/sftp-import/config.toml, if there is one]' -r -F
complete -c sftp-import -n "__fish_sftp_import_using_subcommand webhook; and __fish_seen_subcommand_from test" -l json -d 'Print JSON instead of text'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand webhook; and __fish_seen_subcommand_from test" -s h -l help -d 'Print help'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand webhook; and __fish_seen_subcommand_from rotate" -l config -d 'Configuration file [default: /etc/sftp-import/config.toml, if there is one]' -r -F
complete -c sftp-import -n "__fish_sftp_import_using_subcommand webhook; and __fish_seen_subcommand_from rotate" -l json -d 'Print JSON instead of text'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand webhook; and __fish_seen_subcommand_from rotate" -s h -l help -d 'Print help'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand webhook; and __fish_seen_subcommand_from enable" -l config -d 'Configuration file [default: /etc/sftp-import/config.toml, if there is one]' -r -F
complete -c sftp-import -n "__fish_sftp_import_using_subcommand webhook; and __fish_seen_subcommand_from enable" -l json -d 'Print JSON instead of text'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand webhook; and __fish_seen_subcommand_from enable" -s h -l help -d 'Print help'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand webhook; and __fish_seen_subcommand_from remove" -l config -d 'Configuration file [default: /etc/sftp-import/config.toml, if there is one]' -r -F
complete -c sftp-import -n "__fish_sftp_import_using_subcommand webhook; and __fish_seen_subcommand_from remove" -l json -d 'Print JSON instead of text'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand webhook; and __fish_seen_subcommand_from remove" -s h -l help -d 'Print help'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand webhook; and __fish_seen_subcommand_from help" -f -a "add" -d 'Add an endpoint to an account, and print its secret: it is not shown again'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand webhook; and __fish_seen_subcommand_from help" -f -a "list" -d 'List endpoints'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand webhook; and __fish_seen_subcommand_from help" -f -a "test" -d 'Send one signed test message now, and say what came back'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand webhook; and __fish_seen_subcommand_from help" -f -a "rotate" -d 'Give an endpoint a new secret, and print it: it is not shown again'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand webhook; and __fish_seen_subcommand_from help" -f -a "enable" -d 'Send to a disabled endpoint again from now on'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand webhook; and __fish_seen_subcommand_from help" -f -a "remove" -d 'Remove an endpoint; what is pending for it is given up'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand webhook; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand delivery; and not __fish_seen_subcommand_from list show retry help" -l config -d 'Configuration file [default: /etc/sftp-import/config.toml, if there is one]' -r -F
complete -c sftp-import -n "__fish_sftp_import_using_subcommand delivery; and not __fish_seen_subcommand_from list show retry help" -l json -d 'Print JSON instead of text'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand delivery; and not __fish_seen_subcommand_from list show retry help" -s h -l help -d 'Print help'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand delivery; and not __fish_seen_subcommand_from list show retry help" -f -a "list" -d 'List deliveries, the newest last'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand delivery; and not __fish_seen_subcommand_from list show retry help" -f -a "show" -d 'Show a delivery and every attempt at it'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand delivery; and not __fish_seen_subcommand_from list show retry help" -f -a "retry" -d 'Make a delivery again, whatever became of it; or all that were given up'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand delivery; and not __fish_seen_subcommand_from list show retry help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand delivery; and __fish_seen_subcommand_from list" -l account -d 'Only this account\'s' -r
complete -c sftp-import -n "__fish_sftp_import_using_subcommand delivery; and __fish_seen_subcommand_from list" -l import -d 'Only this import\'s' -r
complete -c sftp-import -n "__fish_sftp_import_using_subcommand delivery; and __fish_seen_subcommand_from list" -l by -d 'Only mails, or only webhooks' -r
complete -c sftp-import -n "__fish_sftp_import_using_subcommand delivery; and __fish_seen_subcommand_from list" -l limit -d 'At most this many' -r
complete -c sftp-import -n "__fish_sftp_import_using_subcommand delivery; and __fish_seen_subcommand_from list" -l config -d 'Configuration file [default: /etc/sftp-import/config.toml, if there is one]' -r -F
complete -c sftp-import -n "__fish_sftp_import_using_subcommand delivery; and __fish_seen_subcommand_from list" -l pending -d 'Only those that are still to be made'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand delivery; and __fish_seen_subcommand_from list" -l delivered -d 'Only those that were made'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand delivery; and __fish_seen_subcommand_from list" -l failed -d 'Only those that were given up'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand delivery; and __fish_seen_subcommand_from list" -l json -d 'Print JSON instead of text'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand delivery; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand delivery; and __fish_seen_subcommand_from show" -l config -d 'Configuration file [default: /etc/sftp-import/config.toml, if there is one]' -r -F
complete -c sftp-import -n "__fish_sftp_import_using_subcommand delivery; and __fish_seen_subcommand_from show" -l json -d 'Print JSON instead of text'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand delivery; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand delivery; and __fish_seen_subcommand_from retry" -l account -d 'Of these, only this account\'s' -r
complete -c sftp-import -n "__fish_sftp_import_using_subcommand delivery; and __fish_seen_subcommand_from retry" -l config -d 'Configuration file [default: /etc/sftp-import/config.toml, if there is one]' -r -F
complete -c sftp-import -n "__fish_sftp_import_using_subcommand delivery; and __fish_seen_subcommand_from retry" -l failed -d 'All that were given up, as after days without a mail server'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand delivery; and __fish_seen_subcommand_from retry" -l json -d 'Print JSON instead of text'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand delivery; and __fish_seen_subcommand_from retry" -s h -l help -d 'Print help'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand delivery; and __fish_seen_subcommand_from help" -f -a "list" -d 'List deliveries, the newest last'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand delivery; and __fish_seen_subcommand_from help" -f -a "show" -d 'Show a delivery and every attempt at it'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand delivery; and __fish_seen_subcommand_from help" -f -a "retry" -d 'Make a delivery again, whatever became of it; or all that were given up'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand delivery; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand activity; and not __fish_seen_subcommand_from export help" -l config -d 'Configuration file [default: /etc/sftp-import/config.toml, if there is one]' -r -F
complete -c sftp-import -n "__fish_sftp_import_using_subcommand activity; and not __fish_seen_subcommand_from export help" -l json -d 'Print JSON instead of text'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand activity; and not __fish_seen_subcommand_from export help" -s h -l help -d 'Print help'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand activity; and not __fish_seen_subcommand_from export help" -f -a "export" -d 'Print the activity log as JSON lines, oldest first'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand activity; and not __fish_seen_subcommand_from export help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand activity; and __fish_seen_subcommand_from export" -l account -d 'Only this account\'s' -r
complete -c sftp-import -n "__fish_sftp_import_using_subcommand activity; and __fish_seen_subcommand_from export" -l since -d 'Only what happened since: 2h, 3d, 2026-11-23, 2026-11-23T20:00:00Z' -r
complete -c sftp-import -n "__fish_sftp_import_using_subcommand activity; and __fish_seen_subcommand_from export" -l config -d 'Configuration file [default: /etc/sftp-import/config.toml, if there is one]' -r -F
complete -c sftp-import -n "__fish_sftp_import_using_subcommand activity; and __fish_seen_subcommand_from export" -l json -d 'Print JSON instead of text'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand activity; and __fish_seen_subcommand_from export" -s h -l help -d 'Print help'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand activity; and __fish_seen_subcommand_from help" -f -a "export" -d 'Print the activity log as JSON lines, oldest first'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand activity; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand check" -l errors -d 'Write the error files into this folder' -r -F
complete -c sftp-import -n "__fish_sftp_import_using_subcommand check" -l config -d 'Configuration file [default: /etc/sftp-import/config.toml, if there is one]' -r -F
complete -c sftp-import -n "__fish_sftp_import_using_subcommand check" -l json -d 'Print JSON instead of text'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand check" -s h -l help -d 'Print help'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand ingest" -l account -d 'The account that the records belong to; it need not be a Unix user' -r
complete -c sftp-import -n "__fish_sftp_import_using_subcommand ingest" -l errors -d 'Write the error files into this folder [default: the manifest\'s]' -r -F
complete -c sftp-import -n "__fish_sftp_import_using_subcommand ingest" -l config -d 'Configuration file [default: /etc/sftp-import/config.toml, if there is one]' -r -F
complete -c sftp-import -n "__fish_sftp_import_using_subcommand ingest" -l json -d 'Print JSON instead of text'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand ingest" -s h -l help -d 'Print help'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand config; and not __fish_seen_subcommand_from check help" -l config -d 'Configuration file [default: /etc/sftp-import/config.toml, if there is one]' -r -F
complete -c sftp-import -n "__fish_sftp_import_using_subcommand config; and not __fish_seen_subcommand_from check help" -l json -d 'Print JSON instead of text'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand config; and not __fish_seen_subcommand_from check help" -s h -l help -d 'Print help'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand config; and not __fish_seen_subcommand_from check help" -f -a "check" -d 'Check the configuration file, and say what it sets'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand config; and not __fish_seen_subcommand_from check help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand config; and __fish_seen_subcommand_from check" -l config -d 'Configuration file [default: /etc/sftp-import/config.toml, if there is one]' -r -F
complete -c sftp-import -n "__fish_sftp_import_using_subcommand config; and __fish_seen_subcommand_from check" -l json -d 'Print JSON instead of text'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand config; and __fish_seen_subcommand_from check" -s h -l help -d 'Print help'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand config; and __fish_seen_subcommand_from help" -f -a "check" -d 'Check the configuration file, and say what it sets'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand config; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand provision" -l config -d 'Configuration file [default: /etc/sftp-import/config.toml, if there is one]' -r -F
complete -c sftp-import -n "__fish_sftp_import_using_subcommand provision" -l json -d 'Print JSON instead of text'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand provision" -s h -l help -d 'Print help'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand registry; and not __fish_seen_subcommand_from take-over help" -l config -d 'Configuration file [default: /etc/sftp-import/config.toml, if there is one]' -r -F
complete -c sftp-import -n "__fish_sftp_import_using_subcommand registry; and not __fish_seen_subcommand_from take-over help" -l json -d 'Print JSON instead of text'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand registry; and not __fish_seen_subcommand_from take-over help" -s h -l help -d 'Print help'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand registry; and not __fish_seen_subcommand_from take-over help" -f -a "take-over" -d 'List the accounts and keys that are in the state database but not in the registry. Any process of the user sftp-import can write the state database, so check each one before you accept it'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand registry; and not __fish_seen_subcommand_from take-over help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand registry; and __fish_seen_subcommand_from take-over" -l config -d 'Configuration file [default: /etc/sftp-import/config.toml, if there is one]' -r -F
complete -c sftp-import -n "__fish_sftp_import_using_subcommand registry; and __fish_seen_subcommand_from take-over" -l accept-keys -d 'Add them to the registry, so that these keys can log in. Makes the registry if it is missing'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand registry; and __fish_seen_subcommand_from take-over" -l json -d 'Print JSON instead of text'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand registry; and __fish_seen_subcommand_from take-over" -s h -l help -d 'Print help'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand registry; and __fish_seen_subcommand_from help" -f -a "take-over" -d 'List the accounts and keys that are in the state database but not in the registry. Any process of the user sftp-import can write the state database, so check each one before you accept it'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand registry; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand doctor" -l account -d 'Only this account, and all that it depends on' -r
complete -c sftp-import -n "__fish_sftp_import_using_subcommand doctor" -l sshd-config -d 'The configuration of the sshd that accounts log in to' -r -F
complete -c sftp-import -n "__fish_sftp_import_using_subcommand doctor" -l from -d 'The address that an account comes from, where sshd\'s `Match` looks at it' -r
complete -c sftp-import -n "__fish_sftp_import_using_subcommand doctor" -l config -d 'Configuration file [default: /etc/sftp-import/config.toml, if there is one]' -r -F
complete -c sftp-import -n "__fish_sftp_import_using_subcommand doctor" -l json -d 'Print JSON instead of text'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand doctor" -s h -l help -d 'Print help'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand backup" -l config -d 'Configuration file [default: /etc/sftp-import/config.toml, if there is one]' -r -F
complete -c sftp-import -n "__fish_sftp_import_using_subcommand backup" -l json -d 'Print JSON instead of text'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand backup" -s h -l help -d 'Print help'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand restore" -l config -d 'Configuration file [default: /etc/sftp-import/config.toml, if there is one]' -r -F
complete -c sftp-import -n "__fish_sftp_import_using_subcommand restore" -l accept-keys -d 'Add the accounts and keys to the registry that are in the file but not in it'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand restore" -l json -d 'Print JSON instead of text'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand restore" -s h -l help -d 'Print help'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand help; and not __fish_seen_subcommand_from account key import webhook delivery activity check ingest config provision registry doctor backup restore help" -f -a "account" -d 'Partners: who may upload'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand help; and not __fish_seen_subcommand_from account key import webhook delivery activity check ingest config provision registry doctor backup restore help" -f -a "key" -d 'The keys that accounts log in with'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand help; and not __fish_seen_subcommand_from account key import webhook delivery activity check ingest config provision registry doctor backup restore help" -f -a "import" -d 'What became of the uploads'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand help; and not __fish_seen_subcommand_from account key import webhook delivery activity check ingest config provision registry doctor backup restore help" -f -a "webhook" -d 'Endpoints that hear of an account\'s imports'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand help; and not __fish_seen_subcommand_from account key import webhook delivery activity check ingest config provision registry doctor backup restore help" -f -a "delivery" -d 'Mails and webhook messages, sent and waiting'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand help; and not __fish_seen_subcommand_from account key import webhook delivery activity check ingest config provision registry doctor backup restore help" -f -a "activity" -d 'What happened, for other programs'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand help; and not __fish_seen_subcommand_from account key import webhook delivery activity check ingest config provision registry doctor backup restore help" -f -a "check" -d 'Check local files by the rules of an import; nothing is stored'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand help; and not __fish_seen_subcommand_from account key import webhook delivery activity check ingest config provision registry doctor backup restore help" -f -a "ingest" -d 'Import local files now, for an account'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand help; and not __fish_seen_subcommand_from account key import webhook delivery activity check ingest config provision registry doctor backup restore help" -f -a "config" -d 'The configuration file'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand help; and not __fish_seen_subcommand_from account key import webhook delivery activity check ingest config provision registry doctor backup restore help" -f -a "provision" -d 'Bring Unix users, folders, published keys and the state database to what the registry says'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand help; and not __fish_seen_subcommand_from account key import webhook delivery activity check ingest config provision registry doctor backup restore help" -f -a "registry" -d 'The registry: the accounts and keys that root approved'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand help; and not __fish_seen_subcommand_from account key import webhook delivery activity check ingest config provision registry doctor backup restore help" -f -a "doctor" -d 'Examine every link of the chain, and say how to mend the one that doesn\'t hold'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand help; and not __fish_seen_subcommand_from account key import webhook delivery activity check ingest config provision registry doctor backup restore help" -f -a "backup" -d 'Copy the state database and the registry to a new file, while everything goes on'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand help; and not __fish_seen_subcommand_from account key import webhook delivery activity check ingest config provision registry doctor backup restore help" -f -a "restore" -d 'Put a copy of the state database in its place; the sidecar must be stopped'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand help; and not __fish_seen_subcommand_from account key import webhook delivery activity check ingest config provision registry doctor backup restore help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand help; and __fish_seen_subcommand_from account" -f -a "add" -d 'Add an account; its Unix user and folders are made with its first key. One of --email, --recipient-domain and --any-recipient is required'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand help; and __fish_seen_subcommand_from account" -f -a "list" -d 'List all accounts'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand help; and __fish_seen_subcommand_from account" -f -a "show" -d 'Show an account: its user, folder, keys and last activity'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand help; and __fish_seen_subcommand_from account" -f -a "set" -d 'Change an account\'s contact, its webhook, or the allowed recipients of its mail. What is not given stays as it is'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand help; and __fish_seen_subcommand_from account" -f -a "suspend" -d 'Stop all logins of an account and end its sessions; nothing is deleted'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand help; and __fish_seen_subcommand_from account" -f -a "resume" -d 'Let a suspended account log in again'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand help; and __fish_seen_subcommand_from account" -f -a "remove" -d 'Remove an account: its keys, sessions, Unix user, and its folder with all that lies in it. Imports that were claimed, what they stored and the activity log stay'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand help; and __fish_seen_subcommand_from account" -f -a "export" -d 'Copy all that there is of an account into a new folder, while everything goes on'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand help; and __fish_seen_subcommand_from account" -f -a "erase" -d 'Erase an account: all that `remove` takes, and its imports, what they stored, its deliveries and its activity. An import that is running is waited for'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand help; and __fish_seen_subcommand_from key" -f -a "add" -d 'Add a public key to an account; the first one makes its Unix user and folders'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand help; and __fish_seen_subcommand_from key" -f -a "list" -d 'List keys'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand help; and __fish_seen_subcommand_from key" -f -a "revoke" -d 'Revoke a key: when this returns, no login with it succeeds. Sessions that are open go on (`account suspend` ends them)'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand help; and __fish_seen_subcommand_from import" -f -a "list" -d 'List imports, newest first'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand help; and __fish_seen_subcommand_from import" -f -a "show" -d 'Show one import\'s report'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand help; and __fish_seen_subcommand_from import" -f -a "watch" -d 'Show how far an import is until it ends, then its report; exit status 1 when it failed'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand help; and __fish_seen_subcommand_from import" -f -a "errors" -d 'Print the path of an import\'s error file'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand help; and __fish_seen_subcommand_from import" -f -a "retry" -d 'Run a failed import again from its spooled files'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand help; and __fish_seen_subcommand_from import" -f -a "log" -d 'Show the activity log, oldest first'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand help; and __fish_seen_subcommand_from webhook" -f -a "add" -d 'Add an endpoint to an account, and print its secret: it is not shown again'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand help; and __fish_seen_subcommand_from webhook" -f -a "list" -d 'List endpoints'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand help; and __fish_seen_subcommand_from webhook" -f -a "test" -d 'Send one signed test message now, and say what came back'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand help; and __fish_seen_subcommand_from webhook" -f -a "rotate" -d 'Give an endpoint a new secret, and print it: it is not shown again'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand help; and __fish_seen_subcommand_from webhook" -f -a "enable" -d 'Send to a disabled endpoint again from now on'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand help; and __fish_seen_subcommand_from webhook" -f -a "remove" -d 'Remove an endpoint; what is pending for it is given up'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand help; and __fish_seen_subcommand_from delivery" -f -a "list" -d 'List deliveries, the newest last'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand help; and __fish_seen_subcommand_from delivery" -f -a "show" -d 'Show a delivery and every attempt at it'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand help; and __fish_seen_subcommand_from delivery" -f -a "retry" -d 'Make a delivery again, whatever became of it; or all that were given up'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand help; and __fish_seen_subcommand_from activity" -f -a "export" -d 'Print the activity log as JSON lines, oldest first'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand help; and __fish_seen_subcommand_from config" -f -a "check" -d 'Check the configuration file, and say what it sets'
complete -c sftp-import -n "__fish_sftp_import_using_subcommand help; and __fish_seen_subcommand_from registry" -f -a "take-over" -d 'List the accounts and keys that are in the state database but not in the registry. Any process of the user sftp-import can write the state database, so check each one before you accept it'
