"""Makes `--auth json-users:FILE` known to twistd. There must be no __init__.py in this folder, nor in that above it."""

from twisted.cred.credentials import IUsernamePassword
from twisted.cred.strcred import ICheckerFactory, InvalidAuthArgumentString
from twisted.plugin import IPlugin
from zope.interface import implementer


@implementer(ICheckerFactory, IPlugin)
class JsonUsersFactory:
    """What `twistd mailpost --help-auth` shows, and what makes the checker."""

    authType = "json-users"
    authHelp = "Users in a JSON file, with their passwords as scrypt made them."
    argStringFormat = "The path of the file"
    credentialInterfaces = (IUsernamePassword,)

    def generateChecker(self, argument):
        if not argument:
            raise InvalidAuthArgumentString("give the path of the file: json-users:FILE")
        from json_users import JsonUsers  # when it is wanted: twistd looks at all plugins each time it starts

        return JsonUsers(argument)


json_users = JsonUsersFactory()
