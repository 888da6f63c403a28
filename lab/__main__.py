from lab.main import main

main()
